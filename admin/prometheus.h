// The metrics in Prometheus' text exposition format, version 0.0.4, with Linkerd's names and
// labels: rt:service:requests{rt="thrift", service="svc/echo"} 11
//
// Lifetime, threading: pure. Errors: none. Series that differ only by bytes which Prometheus does
// not allow in names are added up.
#pragma once

#include <string>

#include "admin/metrics_window.h"

namespace trestle::admin {

inline constexpr char kPrometheusType[] = "text/plain; version=0.0.4; charset=utf-8";

// Histograms are summaries: _count and _sum since the start, so that they never go back; quantiles
// and the gauge _avg of the last whole minute, left out when nothing came in it.
// `prefix` is put before every name.
std::string PrometheusText(const MetricsView& view, const std::string& prefix = "");

}  // namespace trestle::admin
