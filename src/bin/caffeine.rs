//! `caffeine`: see [`caffeine::server`].

fn main() -> std::process::ExitCode {
    caffeine::server::main()
}
