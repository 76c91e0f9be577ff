"""The table of a bench: medians over the rounds, and ratios between neighbours of one round."""

import statistics

from peers import FLOOR

CPU = "cpu_us_per_call"
COLUMNS = ("workload", "peer", "cpu us", "spread", "calls/s", "p50 us", "p99 us", "p999 us")
FORM = "{:<14} {:<{}} {:>8} {:>7} {:>9} {:>9} {:>9} {:>9}"


def ratios(options):
    """The columns of ratios: title, figure, and the name of what a peer is compared with."""
    def framed(peer):
        return "trestle/framed-framed" + (f"/{peer.workers}" if peer.workers > 1 else "")

    def direct(peer):
        return f"direct/{peer.clients}" if options.bridges else "direct"

    floor = ("cpu/floor", CPU, lambda _: FLOOR)
    if options.bridges:
        first = [("cpu/framed", CPU, framed), floor]
    elif (options.clients, options.backends) == ("mux", "mux"):
        first = [floor]
    else:
        first = [("cpu/envoy", CPU, lambda _: "envoy")]
    return [*first, ("calls/direct", "calls_per_s", direct), ("p50/direct", "p50_us", direct)]


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


def row(workload, peer, of, compared):
    runs = of(workload, peer.name)
    shares = [shown(ratio(runs, of(workload, base(peer)), key), 2) for _, key, base in compared]
    return (workload, peer.name, shown(median(runs, CPU), 2), shown(spread(runs, CPU), 2),
            shown(median(runs, "calls_per_s"), 0), shown(median(runs, "p50_us"), 1),
            shown(median(runs, "p99_us"), 1), shown(median(runs, "p999_us"), 1), *shares)


def print_row(cells, peers, titles):
    wide = max(12, *(len(peer.name) for peer in peers))
    first, shares = cells[:len(COLUMNS)], cells[len(COLUMNS):]
    text = FORM.format(first[0], first[1], wide, *first[2:])
    print(text, *(f"{share:>{max(9, len(title))}}" for share, title in zip(shares, titles)))


def workers_row(runs):
    """The CPU time of each of the busiest threads, as a part of the whole: are workers even?"""
    spent = [sorted(run["cpu_ns_of_threads"], reverse=True) for run in runs]
    parts = [statistics.median(one[i] / sum(one) for one in spent)
             for i in range(min(map(len, spent)))]
    return " ".join(f"{100 * part:.0f}%" for part in parts if part >= 0.005)


def show(runs, peers, compared):
    def of(workload, peer):
        return [run for run in runs if (run["workload"], run["peer"]) == (workload, peer)]

    other = [run["other_cores"] for run in runs]
    print(f"# cores busy with other work meanwhile: median {statistics.median(other):.2f}, "
          f"most {max(other):.2f}")
    titles = [title for title, *_ in compared]
    print_row((*COLUMNS, *titles), peers, titles)
    workloads = list(dict.fromkeys(run["workload"] for run in runs))
    for workload in workloads:
        for peer in peers:
            print_row(row(workload, peer, of, compared), peers, titles)
    for name in (peer.name for peer in peers if peer.workers > 1):
        for workload in workloads:
            print(f"# {name} {workload}: CPU time by thread {workers_row(of(workload, name))}")
