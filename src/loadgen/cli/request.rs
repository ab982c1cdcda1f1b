//! Options: the request.

use std::path::PathBuf;
use std::sync::Arc;

use super::{input, times};
use crate::dist::Distribution;
use crate::loadgen::error::Error;
use crate::loadgen::plan::{Request, Target, is_token, parse_header};

/// Most bytes of bodies, of all URLs together.
const MOST_BYTES: usize = 1 << 30;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Request")]
pub struct RequestArgs {
    /// Method; default GET, or POST with a body
    #[arg(short, long, value_name = "METHOD")]
    pub method: Option<String>,

    /// Additional header field; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,

    /// Body of every request
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file")]
    pub body: Option<String>,

    /// File with the body of every request; with - standard input
    #[arg(long, value_name = "FILE")]
    pub body_file: Option<PathBuf>,

    /// Ask the server to take a time of its own for each request, by ?occupy=TIME in the URL: 5ms, or random as in
    /// exp(5ms), lognormal(5ms,1.0), bimodal(0.9,1ms,10ms); see below
    #[arg(long, value_name = "TIME|DIST", value_parser = times)]
    pub occupy: Option<Distribution>,

    /// File with the URLs of one server, one per line, or paths such as /a?b; requests take them in turn
    #[arg(long, value_name = "FILE")]
    pub urls: Option<PathBuf>,
}

impl RequestArgs {
    /// The targets of `--urls`, which are of one server: that of `url`, or else of the first; without the option `url`.
    /// Errors: usage, if a line is wrong; failure, if the file cannot be read.
    pub fn targets(&self, url: Option<Target>) -> Result<Vec<Target>, Error> {
        let Some(path) = &self.urls else { return Ok(vec![url.unwrap_or_default()]) };
        let shown = path.display();
        let bytes = input::read(path, "the URLs from")?;
        let text = String::from_utf8_lossy(&bytes);
        let mut server = url;
        let mut targets = Vec::new();
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: String| Error::Usage(format!("--urls {shown}, line {number}: {why}"));
            let target = if line.starts_with('/') {
                let server = server.get_or_insert_default();
                Target::parse(&format!("{}{line}", server.authority)).map_err(wrong)?
            } else {
                Target::parse(line).map_err(wrong)?
            };
            let server = server.get_or_insert_with(|| target.clone());
            if (&target.host, target.port) != (&server.host, server.port) {
                return Err(wrong(format!(
                    "{} is not {}, and all have to be of one server",
                    target.authority, server.authority
                )));
            }
            targets.push(target);
        }
        if targets.is_empty() {
            Err(Error::Usage(format!("--urls {shown}: it has no URL")))
        } else {
            Ok(targets)
        }
    }

    /// Errors: usage, if it is not HTTP; failure, if the body cannot be read, or its copies for all URLs need too much memory.
    pub fn build(&self, targets: &[Target]) -> Result<Arc<[Request]>, Error> {
        let body = match &self.body_file {
            None => self.body.clone().map(String::into_bytes),
            Some(path) => Some(input::read(path, "the body from")?),
        };
        let default = if body.is_some() { "POST" } else { "GET" };
        let method = self.method.as_deref().unwrap_or(default);
        if !is_token(method) {
            return Err(Error::Usage(format!("{method:?} is not an HTTP method")));
        }
        let headers = self.headers.iter().map(|text| parse_header(text)).collect::<Result<Vec<_>, _>>();
        let headers = headers.map_err(|why| Error::Usage(format!("-H: {why}")))?;
        let body = body.unwrap_or_default();
        let (number, size) = (targets.len(), body.len());
        if size.saturating_mul(number) > MOST_BYTES {
            let why =
                format!("{number} URLs with a body of {size} bytes need too much memory: at most 1 GiB");
            return Err(Error::Failed(why));
        }
        Ok(targets.iter().map(|target| Request::new(target, method, &headers, &body)).collect())
    }
}
