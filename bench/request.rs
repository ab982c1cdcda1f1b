//! The request parser with typical heads of programs and browsers.

use caffeine::http::limits::Limits;
use caffeine::http::request;
use criterion::{Criterion, Throughput};
use std::hint::black_box;

/// What curl sends.
pub const SMALL: &str =
    "GET /hello?a=1 HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";

/// What a browser sends.
pub const LARGE: &str = "GET /shop/item/4711?colour=blue&size=42 HTTP/1.1\r\n\
    Host: shop.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://shop.example.org/search?q=shoes\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Priority: u=0, i\r\n\r\n";

/// Complete heads and an incomplete one.
pub fn bench(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("request");
    for (name, head) in [("small", SMALL), ("large", LARGE), ("unfinished", &LARGE[..LARGE.len() - 3])] {
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut slots = request::slots();
                let parsed = request::parse(black_box(head.as_bytes()), &mut slots, &limits);
                black_box(&parsed).is_ok()
            });
        });
    }
    group.finish();
}
