//! The `holdpoint` program: everything is in the library.

fn main() -> std::process::ExitCode {
    holdpoint::cli::main()
}
