//! Options: what is requested.

use std::path::PathBuf;

/// What is sent.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Request")]
pub struct RequestArgs {
    /// Method; default GET, or POST with a body
    #[arg(short, long, value_name = "METHOD")]
    pub method: Option<String>,

    /// A header field to send along; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,

    /// Body of every request
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file")]
    pub body: Option<String>,

    /// File with the body of every request
    #[arg(long, value_name = "FILE")]
    pub body_file: Option<PathBuf>,
}
