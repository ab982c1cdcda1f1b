//! A case for every rule of the words.

use super::findings::{Column, Effect, Findings, Lost, Spread};
use super::made_tests::{at_loads, claim, column, delays, effect, equal, found, lost, option, slope, worse};
use crate::lab::judge::Conclusion::{ClientBound, Described, Differs, Equivalent, Open, TooFew};
use crate::lab::judge::claims::ClaimVerdict;
use crate::lab::spec::Metric::{Rate, ResponseP99Ms, ServerCpuUs};

pub fn cases() -> Vec<(&'static str, Findings)> {
    let more = |base: Findings, change: &dyn Fn(&mut Findings)| {
        let mut changed = base;
        change(&mut changed);
        changed
    };
    let crowd = |judged: Vec<Effect>| -> Vec<Column> {
        (1..=8).map(|n| column(&format!("strategy-{n}"), judged.clone())).collect()
    };
    let cheaper = Column {
        described: vec![effect(ServerCpuUs, "at load 30 %", -20.0, Described)],
        ..column("reuseport", worse())
    };
    let dearer = at_loads([(-30.0, Differs), (-25.0, Differs), (-20.0, Differs)]);
    let dearer = Column {
        described: vec![effect(ServerCpuUs, "at load 30 %", 30.0, Described)],
        ..column("uring", dearer)
    };
    let closed = |change, of| vec![effect(Rate, "under full load", change, of)];
    let mixed = at_loads([(-30.0, Differs), (1.0, Equivalent), (60.0, Differs)]);
    let unjudged = at_loads([(3.0, ClientBound), (2.0, TooFew), (9.0, TooFew)]);
    let partly = at_loads([(53.0, Differs), (97.0, Differs), (180.0, TooFew)]);
    let small = at_loads([(4.0, Differs), (1.0, Equivalent), (2.0, Equivalent)]);
    let estimates = at_loads([(53.0, TooFew), (1.0, TooFew), (40.0, ClientBound)]);
    let open = at_loads([(5.0, Open), (1.0, Equivalent), (8.0, Open)]);
    let unseen = |mut effect: Effect| {
        effect.found.visible = f64::INFINITY;
        effect
    };
    let hang = "while a worker is busy for 0.5 s";
    let yardstick = |columns| {
        more(found(12, columns), &|f| {
            (f.yardstick, f.baseline) = (true, "command:minimal-c".into());
            f.decision = "which server to run handlers with".into();
            f.columns.iter_mut().for_each(|column| column.base = "command:minimal-c".into());
        })
    };
    vec![
        ("no run", found(0, Vec::new())),
        ("nothing compared", found(12, Vec::new())),
        ("one worse, one equivalent", found(12, vec![cheaper, column("round-robin", equal())])),
        ("worse in some places, not judged in others", found(10, vec![column("reuseport", partly)])),
        (
            "several worse",
            found(
                12,
                vec![
                    column("reuseport", worse()),
                    column("reuseport-cbpf", worse()),
                    column("uring", equal()),
                ],
            ),
        ),
        ("one better", found(12, vec![dearer, column("reuseport", worse())])),
        ("mixed over loads", found(12, vec![column("reuseport", mixed.clone())])),
        (
            "mixed over loads beside one that is worse",
            found(12, vec![column("reuseport", mixed), column("uring", worse())]),
        ),
        ("all equivalent", found(12, vec![column("reuseport", equal()), column("round-robin", equal())])),
        ("a difference within the least effect", found(12, vec![column("reuseport", small)])),
        (
            "not told apart",
            found(12, vec![column("reuseport", open.clone()), column("round-robin", equal())]),
        ),
        (
            "nothing could be seen",
            found(12, vec![column("reuseport", open.iter().cloned().map(unseen).collect())]),
        ),
        ("client-bound and too few rounds", found(12, vec![column("reuseport", unjudged.clone())])),
        (
            "two metrics: a closed loop and an open one",
            found(
                12,
                vec![
                    column("reuseport", [closed(-9.5, Differs), worse()].concat()),
                    column("round-robin", [closed(0.4, Equivalent), equal()].concat()),
                ],
            ),
        ),
        (
            "a first look",
            more(
                found(
                    4,
                    vec![column("reuseport", estimates), column("round-robin", at_loads([(1.0, TooFew); 3]))],
                ),
                &|f| f.experiment = "quick".into(),
            ),
        ),
        (
            "a first look that shows nothing",
            found(2, vec![column("reuseport", at_loads([(1.0, TooFew); 3]))]),
        ),
        ("more than six strategies, all worse", found(12, crowd(worse()))),
        ("more than six strategies, all equivalent", found(12, crowd(equal()))),
        (
            "more than six strategies, one worse",
            found(12, [crowd(equal()), vec![column("reuseport", worse())]].concat()),
        ),
        (
            "options: none changes anything",
            found(
                12,
                vec![
                    column("reuseport", worse()),
                    option("--pin", equal()),
                    option("--accept-batch 4", equal()),
                ],
            ),
        ),
        (
            "options: one is worse",
            found(
                12,
                vec![
                    option("--defer-accept 0s", closed(-16.0, Differs)),
                    option("--pin", closed(1.0, Equivalent)),
                    option("--accept-batch 16", unjudged.clone()),
                ],
            ),
        ),
        (
            "options: one is better",
            found(
                12,
                vec![
                    option("--pin", closed(16.0, Differs)),
                    option("--accept-batch 4", closed(1.0, Equivalent)),
                ],
            ),
        ),
        ("options: not told apart", found(12, vec![option("--pin", open)])),
        ("options: not judged", found(12, vec![option("--pin", unjudged)])),
        (
            "peers",
            yardstick(vec![
                column("inherited", closed(-9.9, Differs)),
                column("lighttpd", closed(-56.0, Differs)),
                column("command:busybox", closed(-64.0, Differs)),
                column("haproxy", closed(1.0, Equivalent)),
            ]),
        ),
        ("peers: equivalent", yardstick(vec![column("inherited", closed(-1.0, Equivalent))])),
        (
            "faults: connections delayed",
            more(
                found(
                    12,
                    vec![
                        column("reuseport", vec![delays(hang, 109.0, 0.4, Differs)]),
                        column("round-robin", vec![delays(hang, 0.6, 0.4, Equivalent)]),
                    ],
                ),
                &|f| {
                    f.decision = "which listener to take, where a worker may hang".into();
                    f.losses = vec![lost("inherited", 20, 0, 0.4), lost("reuseport", 20, 0, 109.0)];
                },
            ),
        ),
        (
            "faults: p99",
            found(12, vec![column("reuseport", vec![effect(ResponseP99Ms, hang, 10_700.0, Differs)])]),
        ),
        (
            "faults beside a comparison, with losses",
            more(found(12, vec![column("reuseport:private", equal())]), &|f| {
                f.losses = vec![lost("reuseport:private", 40, 9, 2.0), lost("inherited", 40, 0, 0.1)]
            }),
        ),
        (
            "losses: one loses",
            more(found(1, Vec::new()), &|f| {
                f.losses = vec![
                    lost("inherited", 20, 0, 0.4),
                    lost("reuseport:private", 20, 4, 109.0),
                    lost("reuseport", 20, 1, 30.0),
                ]
            }),
        ),
        (
            "losses: none loses",
            more(found(1, Vec::new()), &|f| {
                f.losses = vec![lost("inherited", 300, 0, 0.4), lost("reuseport", 300, 0, 109.0)]
            }),
        ),
        (
            "losses: few faults",
            more(found(1, Vec::new()), &|f| f.losses = vec![lost("inherited", 5, 0, 0.2)]),
        ),
        (
            "losses: method superseded",
            more(found(1, Vec::new()), &|f| {
                f.losses = vec![lost("inherited", 12, 0, 0.0), lost("reuseport:private", 12, 4, 0.0)];
                for Lost { losses, .. } in &mut f.losses {
                    losses.superseded = true;
                    losses.effects.iter_mut().for_each(|effect| effect.delayed_more = None);
                }
            }),
        ),
        (
            "losses: no fault happened",
            more(found(1, Vec::new()), &|f| f.losses = vec![lost("inherited", 0, 0, 0.0)]),
        ),
        (
            "soak: passed",
            more(found(1, Vec::new()), &|f| {
                f.slopes = vec![
                    slope("Memory (PSS), with handlers", -3.0, 12.0),
                    slope("Memory (PSS), with fixed answers", 20.0, 44.0),
                ];
                f.losses = vec![lost("inherited", 700, 0, 0.0)];
            }),
        ),
        (
            "soak: grew",
            more(found(1, Vec::new()), &|f| {
                f.slopes = vec![slope("Memory (PSS)", -3.0, 12.0), slope("Descriptors", 60.0, 90.0)]
            }),
        ),
        (
            "soak: grew and lost",
            more(found(1, Vec::new()), &|f| {
                f.slopes = vec![slope("Memory (PSS)", 60.0, 90.0)];
                f.losses = vec![lost("inherited", 700, 3, 0.0)];
            }),
        ),
        (
            "soak: lost",
            more(found(1, Vec::new()), &|f| {
                f.slopes = vec![slope("Memory (PSS)", -3.0, 12.0)];
                f.losses = vec![lost("inherited", 700, 3, 0.0)];
            }),
        ),
        (
            "soak: too short",
            more(found(1, Vec::new()), &|f| f.slopes = vec![slope("Memory (PSS)", -300.0, 500.0)]),
        ),
        (
            "claims: contradicted first",
            more(found(12, Vec::new()), &|f| {
                f.claims = vec![
                    claim("R1", ClaimVerdict::SameSize, ""),
                    claim("R2", ClaimVerdict::Contradicted, ""),
                    claim("R2", ClaimVerdict::OwnHolds, ""),
                    claim("R3", ClaimVerdict::NotTestable, "nginx is not installed"),
                    claim("R4", ClaimVerdict::Undecided, "the interval crosses a limit"),
                ];
            }),
        ),
        (
            "claims: same size",
            more(found(12, Vec::new()), &|f| f.claims = vec![claim("R1", ClaimVerdict::SameSize, "")]),
        ),
        (
            "claims: same direction",
            more(found(12, Vec::new()), &|f| f.claims = vec![claim("R1", ClaimVerdict::SameDirection, "")]),
        ),
        (
            "claims: an own one fails",
            more(found(12, Vec::new()), &|f| {
                f.claims =
                    vec![claim("R1", ClaimVerdict::OwnHolds, ""), claim("R1", ClaimVerdict::OwnFails, "")]
            }),
        ),
        (
            "claims: an own one holds",
            more(found(12, Vec::new()), &|f| f.claims = vec![claim("R1", ClaimVerdict::OwnHolds, "")]),
        ),
        (
            "claims: few rounds",
            more(found(2, Vec::new()), &|f| {
                f.claims = vec![claim("R1", ClaimVerdict::Undecided, "too few rounds to judge (2 of 10)")]
            }),
        ),
        (
            "claims: not testable",
            more(found(12, Vec::new()), &|f| {
                f.claims = vec![claim("R1", ClaimVerdict::NotTestable, "nginx is not installed")]
            }),
        ),
        (
            "claims: many",
            more(found(12, Vec::new()), &|f| {
                f.claims = (1..=9).map(|_| claim("R1", ClaimVerdict::SameSize, "")).collect()
            }),
        ),
        (
            "evidence: repeated, void, short, noted, uneven",
            more(found(12, vec![column("reuseport", equal())]), &|f| {
                (f.repeated, f.void, f.short, f.noted) = (2, 3, true, true);
                f.noise = vec![(Rate, 1.24), (ResponseP99Ms, 14.0)];
                f.decision = String::new();
                let spread =
                    |column: &str, most, concentrated| Spread { column: column.into(), most, concentrated };
                f.spread = vec![
                    spread("inherited", 1.04, false),
                    spread("nginx:mutex", 4.0, true),
                    spread("inherited-herd", 1.99, false),
                ];
            }),
        ),
    ]
}
