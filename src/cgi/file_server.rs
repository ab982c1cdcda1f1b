//! Serves one file: a program of its own, started like a handler for each request to a `[[static]]` table. So a slow disk
//! and a slow client delay nothing else, and limits, log and stop treat it like any handler.
//!
//! Its argument is the root, and its request is in the environment, as that of any handler. The path was checked before the
//! start: each segment is a plain name that does not begin with a dot. [`open_beneath`] sees to links.

use std::env;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::sendfile::sendfile;

use crate::http::conditional::{Conditions, Verdict, Version};
use crate::http::range::{Wanted, wanted};
use crate::http::refusal::{Refusal, phrase};
use crate::http::response::{self, Moved};
use crate::http::{date, target};
use crate::sys::fs::{open_beneath, open_regular};
use crate::sys::{net, stdio};

/// The argument that makes our executable serve a file below the next one.
pub const ARGUMENT: &str = "--serve-file";
/// What a directory shows.
const INDEX: &str = "index.html";

const NOT_FOUND: Refusal = Refusal::new(404, "there is no file with this name");

/// What the client gets.
enum Answer {
    Refusal(Refusal),
    Moved(Moved),
    /// A head of its own, and a part of the file.
    File {
        status: u16,
        head: String,
        file: File,
        from: u64,
        len: u64,
    },
}

/// The request, as the environment has it.
struct Request {
    method: String,
    target: String,
    query: String,
    fields: [Option<String>; 6],
}

/// What was sent of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    pub status: u16,
    /// Bytes of the body.
    pub bytes: u64,
    pub end: End,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All of it was sent.
    Whole,
    /// The file became shorter, or could not be read to its end.
    Shorter,
    /// The client has closed the connection, or has read nothing for too long.
    ClientGone,
}

/// Serves the request in the environment.
pub fn serve() -> Served {
    let root = env::args_os().nth(2).unwrap_or_default();
    let path = env::var_os("PATH_INFO");
    let request = Request::from_environment();
    let answer = answer(Path::new(&root), path.as_deref(), &request).unwrap_or_else(|error| {
        let refusal = of_error(&error);
        if refusal.status == 500 {
            stdio::remark(format_args!("cannot read a file in {}: {error}", Path::new(&root).display()));
        }
        Answer::Refusal(refusal)
    });
    send(answer, request.method == "HEAD")
}

impl Request {
    fn from_environment() -> Self {
        let text = |name: &str| env::var_os(name).and_then(|value| value.into_string().ok());
        Self {
            method: text("REQUEST_METHOD").unwrap_or_default(),
            target: text("REQUEST_URI").unwrap_or_default(),
            query: text("QUERY_STRING").unwrap_or_default(),
            fields: [
                "HTTP_IF_MATCH",
                "HTTP_IF_NONE_MATCH",
                "HTTP_IF_MODIFIED_SINCE",
                "HTTP_IF_UNMODIFIED_SINCE",
                "HTTP_IF_RANGE",
                "HTTP_RANGE",
            ]
            .map(text),
        }
    }

    fn conditions(&self) -> Conditions<'_> {
        let [if_match, if_none_match, if_modified_since, if_unmodified_since, if_range, _] =
            self.fields.each_ref().map(Option::as_deref);
        Conditions { if_match, if_none_match, if_modified_since, if_unmodified_since, if_range }
    }

    /// The part that is asked for. Only GET has one.
    fn wanted(&self, version: &Version, len: u64) -> Wanted {
        match &self.fields[5] {
            Some(range) if self.method == "GET" && version.allows_range(&self.conditions()) => {
                wanted(range, len)
            }
            _ => Wanted::Whole,
        }
    }
}

fn answer(root: &Path, path: Option<&OsStr>, request: &Request) -> io::Result<Answer> {
    let path = path.map(OsStr::as_bytes).unwrap_or_default();
    if std::fs::metadata(root)?.is_file() {
        return match path {
            [] => of_file(open_regular(File::options().read(true), root, 0)?, root, request),
            _ => Ok(Answer::Refusal(NOT_FOUND)),
        };
    }
    let base = File::open(root)?;
    let path = match path.strip_prefix(b"/") {
        None | Some([]) => Path::new("."),
        Some(names) => Path::new(OsStr::from_bytes(names)),
    };
    let found = open_beneath(&base, path)?;
    if !found.metadata()?.is_dir() {
        return of_file(found, path, request);
    }
    let asked = target::split(&request.method, &request.target).map_or("", |target| target.path);
    if !asked.ends_with('/') {
        return Ok(Answer::Moved(Moved::to_folder(&request.method, asked, &request.query)));
    }
    let index = path.join(INDEX);
    let found = open_beneath(&base, &index)?;
    if found.metadata()?.is_dir() {
        return Ok(Answer::Refusal(NOT_FOUND));
    }
    of_file(found, &index, request)
}

fn of_file(file: File, path: &Path, request: &Request) -> io::Result<Answer> {
    let found = file.metadata()?;
    let (version, len) = (version(&found), found.len());
    match version.judge(&request.conditions()) {
        Verdict::Serve => {}
        Verdict::NotModified => {
            return Ok(Answer::File { status: 304, head: head(304, &version, ""), file, from: 0, len: 0 });
        }
        Verdict::Failed => return Ok(Answer::Refusal(Refusal::new(412, "the file is another version"))),
    }
    let (status, from, len, range) = match request.wanted(&version, len) {
        Wanted::Whole => (200, 0, len, String::new()),
        Wanted::Part(part) => {
            let range = format!("Content-Range: bytes {}-{}/{len}\r\n", part.start, part.end - 1);
            (206, part.start, part.end - part.start, range)
        }
        Wanted::Beyond => {
            let fields = format!("Content-Range: bytes */{len}\r\nContent-Length: 0\r\n");
            return Ok(Answer::File {
                status: 416,
                head: head(416, &version, &fields),
                file,
                from: 0,
                len: 0,
            });
        }
    };
    let kind = kind(path);
    let fields = format!(
        "Content-Type: {kind}\r\nX-Content-Type-Options: nosniff\r\nContent-Length: {len}\r\nAccept-Ranges: bytes\r\n{range}"
    );
    Ok(Answer::File { status, head: head(status, &version, &fields), file, from, len })
}

fn version(found: &Metadata) -> Version {
    let ns = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
    // A date in the future cannot be that of a change (RFC 9110, section 8.8.2.1).
    let modified = found.mtime().min(i64::try_from(now()).unwrap_or(i64::MAX));
    Version { tag: format!("\"{:x}-{ns:x}\"", found.len()), modified }
}

fn kind(path: &Path) -> String {
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let charset = if kind.type_() == "text" { "; charset=utf-8" } else { "" };
    format!("{kind}{charset}")
}

fn head(status: u16, version: &Version, fields: &str) -> String {
    let (phrase, now) = (phrase(status), date::format(now()));
    let modified = date::format(u64::try_from(version.modified).unwrap_or(0));
    format!(
        "HTTP/1.1 {status} {phrase}\r\nDate: {now}\r\nETag: {}\r\nLast-Modified: {modified}\r\n{fields}Connection: close\r\n\r\n",
        version.tag
    )
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Why a file cannot be opened.
fn of_error(error: &io::Error) -> Refusal {
    let absent = [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::EXDEV, libc::ENAMETOOLONG];
    match error.kind() {
        io::ErrorKind::PermissionDenied => Refusal::new(403, "the file may not be read"),
        // Neither a file nor a directory.
        io::ErrorKind::InvalidInput => NOT_FOUND,
        _ if error.raw_os_error().is_some_and(|code| absent.contains(&code)) => NOT_FOUND,
        _ => Refusal::new(500, "the file cannot be read"),
    }
}

fn send(answer: Answer, head_only: bool) -> Served {
    let (status, head, mut file, from, len) = match answer {
        Answer::Refusal(refusal) => return refuse(&refusal, None, head_only),
        Answer::Moved(moved) => {
            let refusal = Refusal::new(moved.status, "the address of a directory ends with a slash");
            return refuse(&refusal, Some(&moved), head_only);
        }
        Answer::File { status, head, file, from, len } => (status, head, file, from, len),
    };
    let served = |bytes, end| Served { status, bytes, end };
    if len == 0 || head_only {
        return served(0, write(head.as_bytes()));
    }
    if net::send_with_more(io::stdout(), head.as_bytes()).is_err() {
        return served(0, End::ClientGone);
    }
    if file.seek(SeekFrom::Start(from)).is_err() {
        return served(0, End::Shorter);
    }
    let (bytes, end) = pass_on(&mut file, len);
    served(bytes, end)
}

fn refuse(refusal: &Refusal, moved: Option<&Moved>, head_only: bool) -> Served {
    let answer = response::refuse(refusal, moved, "", head_only, &date::format(now()));
    let end = write(&answer);
    let bytes = if end == End::Whole { response::body_bytes(&answer) } else { 0 };
    Served { status: moved.map_or(refusal.status, |moved| moved.status), bytes, end }
}

fn write(bytes: &[u8]) -> End {
    let mut out = io::stdout();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => End::Whole,
        Err(_) => End::ClientGone,
    }
}

/// Sends `len` bytes of the file, from where it stands; returns how many were sent.
fn pass_on(file: &mut File, len: u64) -> (u64, End) {
    let mut sent = 0;
    while sent < len {
        let most = usize::try_from(len - sent).unwrap_or(usize::MAX);
        match sendfile(io::stdout(), &*file, None, most) {
            Ok(0) => return (sent, End::Shorter),
            Ok(bytes) => sent += bytes as u64,
            Err(Errno::EINTR) => {}
            Err(Errno::EINVAL | Errno::ENOSYS) => return copy(file, sent, len),
            Err(Errno::EIO) => return (sent, End::Shorter),
            Err(_) => return (sent, End::ClientGone),
        }
    }
    (sent, End::Whole)
}

/// For file systems without sendfile(2).
fn copy(file: &mut File, mut sent: u64, len: u64) -> (u64, End) {
    let mut piece = [0; 16 * 1024];
    while sent < len {
        let most = usize::try_from(len - sent).unwrap_or(usize::MAX).min(piece.len());
        let Ok(bytes @ 1..) = file.read(&mut piece[..most]) else { return (sent, End::Shorter) };
        if write(&piece[..bytes]) != End::Whole {
            return (sent, End::ClientGone);
        }
        sent += bytes as u64;
    }
    (sent, End::Whole)
}
