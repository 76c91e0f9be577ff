#include "conf/parts.h"

namespace trestle::conf {
namespace {

ServiceEntry ReadEntry(Section* section) {
  ServiceEntry entry;
  entry.total_timeout = section->MaybeTime("totalTimeoutMs", 1);
  if (section->Take("idempotentMethods")) {
    entry.idempotent_methods = section->Words("idempotentMethods");
  }
  section->Done({{"retries", "{}"}, {"responseClassifier"}});
  return entry;
}

}  // namespace

ServiceConfig ReadService(std::optional<Section> section) {
  ServiceConfig service;
  if (!section) return service;
  const auto kind = section->Kind("kind", {"io.l5d.global", "io.l5d.static"}, {}, "io.l5d.global");
  if (!kind) return service;
  if (*kind == "io.l5d.global") {
    service.entries.push_back(ReadEntry(&*section));
    return service;
  }
  section->Need("configs");
  for (const Item& item : section->List("configs")) {
    Section config(item, section->findings());
    NamePattern prefix = ReadPrefix(&config);
    service.entries.push_back(ReadEntry(&config));
    service.entries.back().prefix = std::move(prefix);
  }
  section->Done();
  return service;
}

}  // namespace trestle::conf
