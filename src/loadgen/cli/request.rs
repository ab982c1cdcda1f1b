//! Options: the request.

use std::path::PathBuf;

use super::{input, times};
use crate::dist::Distribution;
use crate::loadgen::error::Error;
use crate::loadgen::plan::target::{Request, Target, is_token, parse_header};

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

    /// File with the body of every request
    #[arg(long, value_name = "FILE")]
    pub body_file: Option<PathBuf>,

    /// Ask the server to take a time of its own for each request, by ?occupy=TIME in the URL: 5ms, or random as in
    /// exp(5ms), lognormal(5ms,1.0), bimodal(0.9,1ms,10ms); see below
    #[arg(long, value_name = "TIME|DIST", value_parser = times)]
    pub occupy: Option<Distribution>,
}

impl RequestArgs {
    /// # Errors
    /// The URL asks for a time already.
    pub fn times(&self, target: &Target) -> Result<Option<Distribution>, Error> {
        match self.occupy {
            Some(_) if target.asks_for_a_time() => {
                Err(Error::Usage("the URL has occupy=TIME already: leave it out, or --occupy".into()))
            }
            times => Ok(times),
        }
    }

    /// # Errors
    /// Usage, if it is not HTTP; failure, if the body cannot be read.
    pub fn build(&self, target: &Target) -> Result<Request, Error> {
        let body = match &self.body_file {
            None => self.body.clone().map(String::into_bytes),
            Some(path) => Some(input::read(path).map_err(|error| {
                Error::Failed(format!("cannot read the body from {}: {error}", path.display()))
            })?),
        };
        let default = if body.is_some() { "POST" } else { "GET" };
        let method = self.method.as_deref().unwrap_or(default);
        if !is_token(method) {
            return Err(Error::Usage(format!("{method:?} is not an HTTP method")));
        }
        let headers = self.headers.iter().map(|text| parse_header(text)).collect::<Result<Vec<_>, _>>();
        let headers = headers.map_err(|why| Error::Usage(format!("-H: {why}")))?;
        Ok(Request::new(target, method, &headers, &body.unwrap_or_default()))
    }
}
