//! The command line as a [`Plan`], after a check that this machine can carry it out.

use super::Args;
use crate::loadgen::error::Error;
use crate::loadgen::plan::{Plan, Target};

impl Args {
    /// The plan of the run, or of the first run of a search.
    /// Errors: usage, if the options make no sense; failure, if this machine cannot carry it out.
    pub fn plan(&self) -> Result<Plan, Error> {
        let url = self.url.as_deref().map(Target::parse).transpose().map_err(Error::Usage)?;
        let targets = self.request.targets(url)?;
        let is_search = self.search.find_rate.is_some();
        let connections = &self.connections;
        let requests = self.request.build(&targets)?;
        let occupy = self.request.occupy;
        if occupy.is_some() && targets.iter().any(Target::asks_for_a_time) {
            return Err(Error::Usage("the URL has occupy=TIME already: leave it out, or --occupy".into()));
        }
        let [target, ..] = &targets[..] else { return Err(Error::Usage("there is no URL".into())) };
        let timeouts = connections.timeouts().map_err(|why| Error::Usage(why.into()))?;
        let timing = if is_search { self.first_of_search()? } else { self.schedule.timing()? };
        let (peers, sources) = connections.peers(target)?;
        let plan = Plan {
            target: target.clone(),
            peers,
            requests,
            timing,
            spin: self.schedule.spin,
            seed: self.schedule.seed,
            threads: connections.threads as usize,
            persistence: connections.persistence(),
            timeouts,
            think: connections.think,
            occupy,
            sources,
            interval_ns: self.output.interval,
            slow_ns: self.output.slow,
            ..Plan::default()
        };
        plan.fit(connections.connections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadgen::plan::budget::Facts;
    use crate::loadgen::plan::{DEFAULT_URL, Persistence};
    use clap::Parser as _;

    fn plan(args: &[&str]) -> Result<Plan, Error> {
        Args::parse_from([&["loadgen"], args].concat()).plan()
    }

    #[test]
    fn the_default_is_a_closed_loop_to_the_default_url() {
        let plan = plan(&[]).unwrap();
        assert_eq!(plan.target.url(), DEFAULT_URL);
        assert_eq!((plan.timing.is_open_loop(), plan.connections, plan.threads), (false, 16, 1));
        assert_eq!((plan.timing.duration_ns, plan.timing.requests), (Some(10_000_000_000), None));
        assert_eq!(plan.requests[0].keep, Plan::default().requests[0].keep);
    }

    #[test]
    fn a_number_of_requests_replaces_the_default_duration_only() {
        assert_eq!(plan(&["-n", "5"]).unwrap().timing.duration_ns, None);
        assert_eq!(plan(&["-n", "5", "-d", "3s"]).unwrap().timing.duration_ns, Some(3_000_000_000));
    }

    #[test]
    fn a_plan_beyond_the_machine_is_refused_with_the_arithmetic() {
        let ports = Facts::read().ports();
        let error = plan(&["-c", "1000000"]).unwrap_err().to_string();
        assert!(error.contains("1000064 file descriptors") || error.contains(&ports.to_string()), "{error}");
        let often = (ports * 2).to_string();
        let closing = ["-r", &often, "-d", "2m", "--client-closes"];
        assert!(plan(&closing).unwrap_err().to_string().contains("in TIME_WAIT hold"));
        assert!(plan(&["-r", &often, "-d", "2m"]).unwrap().warnings.is_empty(), "the server closes");
        assert!(plan(&[&closing[..], &["--sources", "127.0.0.2-127.0.0.255"]].concat()).is_ok());
        assert!(plan(&[&closing[..], &["--requests-per-connection", "1000"]].concat()).is_ok());
    }

    #[test]
    fn a_connection_is_used_once_unless_it_is_kept() {
        let of = |args: &[&str]| plan(args).unwrap().persistence;
        assert_eq!(of(&[]), Persistence { requests: 1, client_closes: false });
        assert_eq!(of(&["-k"]).requests, u64::MAX);
        assert_eq!(
            of(&["--requests-per-connection", "7", "--client-closes"]),
            Persistence { requests: 7, client_closes: true }
        );
        let request =
            |args: &[&str]| String::from_utf8(plan(args).unwrap().requests[0].close.clone()).unwrap();
        assert!(request(&[]).contains("Connection: close"));
        for wrong in [&["-k", "--requests-per-connection", "7"][..], &["-k", "--client-closes"]] {
            assert!(Args::try_parse_from([&["loadgen"], wrong].concat()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn timeouts_of_phases_lie_within_that_of_the_whole() {
        let all = plan(&["--timeout", "3s"]).unwrap().timeouts;
        assert_eq!(
            (all.total_ns, all.connect_ns, all.first_byte_ns),
            (3_000_000_000, 3_000_000_000, 3_000_000_000)
        );
        let some = plan(&["--connect-timeout", "1s", "--first-byte-timeout", "20ms"]).unwrap().timeouts;
        assert_eq!(
            (some.total_ns, some.connect_ns, some.first_byte_ns),
            (10_000_000_000, 1_000_000_000, 20_000_000)
        );
        assert!(matches!(plan(&["--connect-timeout", "11s"]), Err(Error::Usage(_))));
        assert!(Args::try_parse_from(["loadgen", "--first-byte-timeout", "0s"]).is_err());
    }

    #[test]
    fn sources_are_tried_and_pauses_are_parsed() {
        assert_eq!(plan(&["--sources", "127.0.0.2-127.0.0.4"]).unwrap().sources.len(), 3);
        let error = plan(&["--sources", "192.0.2.1"]).unwrap_err().to_string();
        assert!(error.contains("--sources: 192.0.2.1 is not an address of this machine"), "{error}");
        assert_eq!(plan(&["--think", "5ms"]).unwrap().think.unwrap().mean().as_millis(), 5);
        assert_eq!(plan(&["--think", "exp(2ms)"]).unwrap().think.unwrap().mean().as_millis(), 2);
        assert!(
            Args::try_parse_from(["loadgen", "-r", "5", "--think", "1s"]).is_err(),
            "an open loop has a schedule"
        );
    }

    #[test]
    fn each_request_can_ask_for_a_time() {
        assert_eq!(plan(&[]).unwrap().occupy, None);
        assert_eq!(plan(&["--occupy", "exp(2ms)"]).unwrap().occupy.unwrap().mean().as_millis(), 2);
        let twice = plan(&["--occupy", "5ms", "http://127.0.0.1/?occupy=1ms"]).unwrap_err();
        assert_eq!((twice.exit_code(), twice.to_string().contains("leave it out")), (2, true), "{twice}");
        assert!(Args::try_parse_from(["loadgen", "--occupy", "often"]).is_err());
    }

    #[test]
    fn requests_take_the_urls_of_a_file_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("urls");
        let paths = |text: &str, url: &[&str]| {
            std::fs::write(&file, text).unwrap();
            let plan = plan(&[&["--urls", file.to_str().unwrap()], url].concat())?;
            let paths = plan.requests.iter().map(|request| request.path.clone()).collect::<Vec<_>>();
            Ok::<_, Error>((plan.target.authority, paths.join(" ")))
        };
        let of = |authority: &str, paths: &str| (authority.to_owned(), paths.to_owned());
        assert_eq!(paths("/a\n\n# comment\n/b?c\n", &[]).unwrap(), of("127.0.0.1:8080", "/a /b?c"));
        assert_eq!(
            paths("http://127.0.0.1:81/a\n127.0.0.1:81/b\n/c", &[]).unwrap(),
            of("127.0.0.1:81", "/a /b /c")
        );
        assert_eq!(paths("/a", &["127.0.0.1:82/ignored"]).unwrap(), of("127.0.0.1:82", "/a"));
        let refused = |text: &str| paths(text, &[]).unwrap_err().to_string();
        assert!(refused("/a\nhttp://127.0.0.1:81/").contains("line 2: 127.0.0.1:81 is not 127.0.0.1:8080"));
        assert!(refused("/a\nhttps://x/").contains("line 2: ") && refused("# nothing\n").contains("no URL"));
    }

    #[test]
    fn the_first_run_of_a_search_has_the_times_of_its_options() {
        let times = |args: &[&str]| {
            let timing = plan(&[&["--find-rate", "p99<5ms"], args].concat()).unwrap().timing;
            let rate = timing.schedule.unwrap().mean_rate(0, None);
            (rate, timing.warmup_ns / 1_000_000, timing.duration_ns.unwrap() / 1_000_000)
        };
        assert_eq!(times(&[]), (100.0, 600, 2400));
        assert_eq!(times(&["-r", "30", "-w", "1s", "--find-time", "100s"]), (30.0, 1000, 4000));
        assert_eq!(
            times(&["-d", "3s", "--find-time", "1s"]),
            (1320.0, 10, 3000),
            "a percentile needs requests"
        );
        assert!(plan(&["--find-rate", "p99<5ms", "-r", "10..20"]).is_err());
    }
}
