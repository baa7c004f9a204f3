//! How long a decision takes in a table of 1,000 releases on 5,000 routes: lookup, release and side. The goal is below a microsecond.

#[path = "../tests/decision/shop.rs"]
mod shop;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use shop::{RELEASES, Visitor, ask, host, table};
use std::hint::black_box;

fn decision(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decision among 5,000 routes");
    for releases in [10, RELEASES] {
        let (table, visitor) = (table(releases), Visitor { tenant: "tenant-42".into() });
        for (route, by) in ["consumer", "address", "header", "cookie", "parameter", "claim", "request"].into_iter().enumerate() {
            let (host, path) = (host(route), format!("/{route}/items"));
            group.bench_function(BenchmarkId::new(format!("by {by}"), releases), |bencher| {
                bencher.iter(|| ask(black_box(&table), black_box(&host), black_box(&path), &visitor));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decision);
criterion_main!(benches);
