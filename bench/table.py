"""The table of a bench: medians over the rounds, and ratios between neighbours of one round."""

import statistics

COLUMNS = ("workload", "peer", "cpu us", "spread", "calls/s", "p50 us", "p99 us", "p999 us",
           "cpu/envoy", "calls/direct", "p50/direct")
FORM = "{:<14} {:<12} {:>8} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9} {:>12} {:>10}"


def median(runs, key):
    values = [run[key] for run in runs if key in run]
    return statistics.median(values) if values else None


def spread(runs, key):
    """How far the rounds lie apart, as a part of their median."""
    values = [run[key] for run in runs if key in run]
    return (max(values) - min(values)) / statistics.median(values) if values else None


def ratio(runs, others, key):
    """The median of what the rounds of two peers have to each other."""
    by_round = {run["round"]: run[key] for run in others if run.get(key)}
    values = [run[key] / by_round[run["round"]] for run in runs
              if key in run and run["round"] in by_round]
    return statistics.median(values) if values else None


def shown(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def row(workload, peer, of):
    runs = of(workload, peer)
    return FORM.format(
        workload, peer, shown(median(runs, "cpu_us_per_call"), 2),
        shown(spread(runs, "cpu_us_per_call"), 2), shown(median(runs, "calls_per_s"), 0),
        shown(median(runs, "p50_us"), 1), shown(median(runs, "p99_us"), 1),
        shown(median(runs, "p999_us"), 1),
        shown(ratio(runs, of(workload, "envoy"), "cpu_us_per_call"), 2),
        shown(ratio(runs, of(workload, "direct"), "calls_per_s"), 2),
        shown(ratio(runs, of(workload, "direct"), "p50_us"), 2))


def workers_row(runs):
    """The CPU time of each of the busiest threads, as a part of the whole: are workers even?"""
    spent = [sorted(run["cpu_ns_of_threads"], reverse=True) for run in runs]
    parts = [statistics.median(one[i] / sum(one) for one in spent)
             for i in range(min(map(len, spent)))]
    return " ".join(f"{100 * part:.0f}%" for part in parts if part >= 0.005)


def show(runs, peers):
    def of(workload, peer):
        return [run for run in runs if (run["workload"], run["peer"]) == (workload, peer)]

    other = [run["other_cores"] for run in runs]
    print(f"# cores busy with other work meanwhile: median {statistics.median(other):.2f}, "
          f"most {max(other):.2f}")
    print(FORM.format(*COLUMNS))
    workloads = list(dict.fromkeys(run["workload"] for run in runs))
    for workload in workloads:
        for peer in peers:
            print(row(workload, peer, of))
    for peer in peers:
        if peer.startswith("trestle/"):
            for workload in workloads:
                print(f"# {peer} {workload}: CPU time by thread {workers_row(of(workload, peer))}")
