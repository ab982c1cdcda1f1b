//! Manual pages: written by hand in `caffeine.1`, `loadgen.1` and `lab.1`, with the options as clap knows them.
//!
//! A page is roff with three liberties: words in backticks are set in bold, a hyphen is always an ASCII hyphen, and a line
//! `@options@`, `@commands@` or `@help@` stands for what the command line has.

use std::io;

use clap::Command;
use clap_mangen::Man;

/// Renders a page for `command`.
///
/// # Errors
/// Only those of clap_mangen.
pub fn render(command: Command, page: &str) -> io::Result<String> {
    // `Aq` is what clap_mangen writes for an apostrophe. AD and HY: flush left, without hyphenation, in every section.
    let mut roff = String::from(".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n");
    for line in page.lines() {
        match line {
            "@options@" => roff += &options(&command)?,
            "@commands@" => roff += &commands(&command)?,
            "@help@" => roff += &help(&command),
            comment if comment.starts_with(".\\\"") => {}
            title if title.starts_with(".TH") => {
                let version = command.get_version().unwrap_or_default();
                roff += &format!("{title} \"Caffeine {version}\"\n.ds AD l\n.nr HY 0\n.ad l\n.nh\n");
            }
            line => roff += &format!("{}\n", escaped(line)),
        }
    }
    Ok(broken(&without_idle_breaks(&roff)))
}

/// Leaves out paragraph breaks beside a heading or another break, which begin a paragraph themselves.
fn without_idle_breaks(page: &str) -> String {
    let is_heading = |line: &str| line.starts_with(".SH ") || line.starts_with(".SS ");
    let mut lines: Vec<&str> = Vec::new();
    for line in page.lines() {
        let begins = is_heading(line) || line == ".PP" || line == ".TP";
        while begins && lines.last() == Some(&".PP") {
            lines.pop();
        }
        if line != ".PP" || !lines.last().is_some_and(|last| is_heading(last)) {
            lines.push(line);
        }
    }
    lines.join("\n") + "\n"
}

/// Breaks long lines of running text, which roff fills again; mandoc(1) objects to them.
fn broken(page: &str) -> String {
    let (mut text, mut literal, mut is_tag) = (String::new(), false, false);
    for line in page.lines() {
        literal = line == ".EX" || (literal && line != ".EE");
        if literal || is_tag || line.starts_with('.') {
            text += line;
        } else {
            let mut width = 0;
            for word in line.split(' ') {
                // A line that begins with a dot or an apostrophe would be a request.
                let breaks = width > 0 && width + 1 + word.len() > 80 && !word.starts_with(['.', '\'']);
                text += match width {
                    0 => "",
                    _ if breaks => "\n",
                    _ => " ",
                };
                text += word;
                width = if breaks { 0 } else { width + usize::from(width > 0) } + word.len();
            }
        }
        text += "\n";
        is_tag = line == ".TP" || line == ".TQ";
    }
    text
}

/// A line of a page, as roff has it.
fn escaped(line: &str) -> String {
    let line = line.replace('-', "\\-").replace('\'', "\\*(Aq");
    let words = line.split('`').enumerate();
    words.map(|(at, word)| if at % 2 == 0 { word.to_owned() } else { format!("\\fB{word}\\fR") }).collect()
}

/// The options of a command, in their groups.
fn options(command: &Command) -> io::Result<String> {
    // Values that are listed one below the other take more room than the option itself.
    let command = command.clone().mut_args(|option| {
        let lists = option.get_action().takes_values();
        option.hide_possible_values(lists)
    });
    let mut text = Vec::new();
    Man::new(command).render_options_section(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().filter(|line| !line.starts_with(".ie") && !line.starts_with(".el"));
    Ok(lines
        .map(|line| match line.strip_prefix(".SH ") {
            Some("OPTIONS") => String::new(),
            Some(group) => format!(".SS {group}\n"),
            None => format!("{line}\n"),
        })
        .collect())
}

/// The subcommands: how each is called, what it does, its options.
fn commands(command: &Command) -> io::Result<String> {
    let mut text = String::new();
    let program = command.get_name();
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        text += &format!(".SS {}\n.B {program} {}\n.PP\n", command.get_name(), escaped(usage));
        text += &format!("{}.\n", escaped(&about));
        text += &options(&command.clone().disable_help_flag(true))?;
    }
    Ok(text)
}

/// The text of --help below the options. A line such as `Verdicts:` at the start of a paragraph becomes a heading, and
/// indented lines keep their form.
fn help(command: &Command) -> String {
    let after = command.get_after_long_help().or(command.get_after_help());
    let after = after.map(ToString::to_string).unwrap_or_default();
    let mut text = String::new();
    let mut literal = false;
    let mut begins = true;
    for line in after.lines() {
        let indented = line.starts_with(' ');
        if indented != literal && !line.is_empty() {
            text += if indented { ".PP\n.EX\n" } else { ".EE\n" };
            literal = indented;
        }
        text += &match line {
            "" if literal => "\n".to_owned(),
            "" => ".PP\n".to_owned(),
            line if begins && !indented && line.ends_with(':') => {
                format!(".SH {}\n", line.trim_end_matches(':').to_uppercase())
            }
            line => format!("\\&{}\n", escaped(line)),
        };
        begins = line.is_empty();
    }
    if literal { text + ".EE\n" } else { text }
}
