//! Apache httpd as a peer: the event MPM, with as many processes as workers.
//!
//! Each process names itself by the part of `mod_unique_id`'s value that it draws at its start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Refused, Setup};

/// Where distributions install the modules.
const FOLDERS: [&str; 6] = [
    "/usr/lib/apache2/modules",
    "/usr/lib64/httpd/modules",
    "/usr/lib/httpd/modules",
    "/etc/httpd/modules",
    "/usr/local/apache2/modules",
    "/usr/libexec/apache2",
];
/// Per process: requests that one worker can handle at once.
const THREADS: usize = 64;
/// It refuses to serve as root.
const USER: &str = "nobody";

pub fn command(setup: &Setup<'_>) -> Result<Command, Refused> {
    let Some(modules) =
        FOLDERS.iter().map(Path::new).find(|folder| folder.join("mod_mpm_event.so").is_file())
    else {
        return Err(Refused::Skipped(format!(
            "Apache's mod_mpm_event.so is in none of {}",
            FOLDERS.join(", ")
        )));
    };
    if let Some(handler) = setup.handler {
        // The prefix `nph-` marks a handler that writes the whole response.
        setup.serve(handler, &script(setup))?;
        if setup.root {
            setup.open_to_others(USER)?;
        }
    }
    let path = setup.folder.join("apache.conf");
    fs::write(&path, configuration(setup, modules)).map_err(|e| Refused::unwritable(&path, &e))?;
    let mut command = Command::new(setup.program);
    command.arg("-f").arg(&path).arg("-DFOREGROUND");
    Ok(command)
}

fn script(setup: &Setup<'_>) -> PathBuf {
    setup.folder.join("served").join(format!("nph-{}", setup.path))
}

fn configuration(setup: &Setup<'_>, modules: &Path) -> String {
    let Setup { workers, backlog, address, .. } = *setup;
    let folder = setup.folder.display();
    let load = |names: &[&str]| -> String {
        let line = |name: &&str| format!("LoadModule {name}_module {}/mod_{name}.so\n", modules.display());
        names.iter().filter(|name| modules.join(format!("mod_{name}.so")).is_file()).map(line).collect()
    };
    let user = if setup.root { format!("User {USER}\nGroup #65534\n") } else { String::new() };
    let work = if setup.handler.is_some() {
        format!(
            "{}ScriptSock {folder}/cgi\nScriptAlias /{} {}\n",
            load(&["alias", "cgid"]),
            setup.path,
            script(setup).display()
        )
    } else {
        // The answer is an error document for the status 200: no file is touched.
        format!(
            "{}ErrorDocument 200 \"hello\\n\"\nRewriteEngine on\nRewriteCond %{{ENV:UNIQUE_ID}} ^.{{6}}(.{{12}})\n\
             RewriteRule .* - [E=WORKER:%1,R=200]\n\
             Header always set Caffeine-Worker \"expr=%{{reqenv:WORKER}}\"\n",
            load(&["rewrite", "headers", "unique_id"])
        )
    };
    format!(
        "{modules}ServerRoot {folder}\nServerName localhost\nDefaultRuntimeDir {folder}\nPidFile {folder}/pid\n\
         Mutex posixsem\nErrorLog /dev/stderr\nListen {address}\nListenBackLog {backlog}\n{user}\
         ServerLimit {workers}\nStartServers {workers}\nThreadsPerChild {THREADS}\nThreadLimit {THREADS}\n\
         MaxRequestWorkers {threads}\nMinSpareThreads 1\nMaxSpareThreads {threads}\nMaxConnectionsPerChild 0\n\
         KeepAlive on\nKeepAliveTimeout 10\nMaxKeepAliveRequests 0\n{work}",
        modules = load(&["mpm_event", "authz_core", "unixd"]),
        threads = workers * THREADS,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_by_itself_or_runs_the_handler() {
        let fixed = Setup { workers: 3, ..Setup::example(Path::new("/f")) };
        let text = configuration(&fixed, Path::new("/m"));
        assert!(text.contains("R=200") && text.contains("MaxRequestWorkers 192\n"), "{text}");
        assert!(!text.contains("User"), "{text}");
        let cgi = Setup { handler: Some(Path::new("/h/hello")), root: true, ..fixed };
        let text = configuration(&cgi, Path::new("/m"));
        assert!(text.contains("ScriptAlias /hello /f/served/nph-hello\n") && text.contains("User nobody\n"));
    }
}
