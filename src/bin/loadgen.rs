//! `loadgen`: see [`caffeine::loadgen`].

fn main() -> std::process::ExitCode {
    caffeine::loadgen::main()
}
