//! `lab`: see [`caffeine::lab`].

fn main() -> std::process::ExitCode {
    caffeine::lab::main()
}
