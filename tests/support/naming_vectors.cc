#include "tests/support/naming_vectors.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <set>
#include <vector>

#include "naming/bind.h"
#include "naming/call_name.h"
#include "naming/delegate_json.h"
#include "naming/fs_file.h"
#include "naming/resolve.h"
#include "naming/serverset.h"
#include "tests/support/naming_vectors_json.h"

namespace trestle::tests {
namespace {

using naming::Dtab;
using naming::Path;

std::string Text(const VectorJson& vector, const char* key) {
  return vector.at(key).get<std::string>();
}

VectorJson ParseError(const base::Status& status, size_t pos) {
  VectorJson got;
  got["ok"] = false;
  got["error"] = status.message();
  got["pos"] = pos;
  return got;
}

template <class T>
VectorJson EvalJson(const std::optional<std::vector<T>>& eval) {
  if (!eval) return nullptr;
  VectorJson list = VectorJson::array();
  for (const auto& leaf : *eval) {
    if constexpr (std::is_same_v<T, Path>) {
      list.push_back(leaf.Show());
    } else {
      list.push_back(leaf.id.Show());
    }
  }
  return list;
}

// dtab ++ local of a vector, which are good ones.
base::Result<Dtab> DtabOf(const VectorJson& vector) {
  auto dtab = Dtab::Parse(Text(vector, "dtab"));
  if (!dtab.ok() || !vector.contains("local")) return dtab;
  auto local = Dtab::Parse(Text(vector, "local"));
  if (!local.ok()) return local;
  return *dtab + *local;
}

VectorJson PathParse(const VectorJson& vector) {
  size_t pos = 0;
  const auto path = Path::Parse(Text(vector, "input"), &pos);
  if (!path.ok()) return ParseError(path.status(), pos);
  VectorJson got;
  got["ok"] = true;
  got["show"] = path->Show();
  got["elems_hex"] = VectorJson::array();
  for (const auto& label : path->labels()) got["elems_hex"].push_back(HexOf(label));
  return got;
}

VectorJson TreeParse(const VectorJson& vector) {
  size_t pos = 0;
  const auto tree = naming::ParseTree(Text(vector, "input"), &pos);
  if (!tree.ok()) return ParseError(tree.status(), pos);
  const naming::PathTree simple = naming::SimplifyTree(*tree);
  const auto again = naming::ParseTree(naming::ShowTree(*tree));
  VectorJson got;
  got["ok"] = true;
  got["tree"] = JsonOf(*tree);
  got["show"] = naming::ShowTree(*tree);
  got["show_reads_back_equal"] = again.ok() && naming::SameTree(*again, *tree);
  got["simplified"] = naming::ShowTree(simple);
  got["simplified_tree"] = JsonOf(simple);
  got["eval"] = EvalJson(naming::EvalTree(*tree));
  return got;
}

VectorJson DtabParse(const VectorJson& vector) {
  size_t pos = 0;
  const auto dtab = Dtab::Parse(Text(vector, "input"), &pos);
  if (!dtab.ok()) return ParseError(dtab.status(), pos);
  VectorJson got;
  got["ok"] = true;
  got["show"] = dtab->Show();
  got["dentries"] = VectorJson::array();
  for (const auto& dentry : dtab->dentries()) {
    VectorJson item;
    item["prefix"] = dentry.prefix.Show();
    item["prefix_elems"] = JsonOf(dentry.prefix);
    item["dst"] = naming::ShowTree(dentry.dst);
    item["dst_tree"] = JsonOf(dentry.dst);
    got["dentries"].push_back(std::move(item));
  }
  got["simplified"] = dtab->Simplified().Show();
  return got;
}

VectorJson PrefixMatch(const VectorJson& vector) {
  size_t pos = 0;
  const auto prefix = naming::Prefix::Parse(Text(vector, "prefix"), &pos);
  if (!prefix.ok()) return ParseError(prefix.status(), pos);
  const auto path = Path::Parse(Text(vector, "path"), &pos);
  if (!path.ok()) return ParseError(path.status(), pos);
  VectorJson got;
  got["ok"] = true;
  got["show"] = prefix->Show();
  got["elems"] = JsonOf(*prefix);
  got["matches"] = prefix->Matches(*path);
  if (prefix->Matches(*path)) got["residual"] = path->Drop(prefix->size()).Show();
  return got;
}

VectorJson DtabLookup(const VectorJson& vector) {
  const auto dtab = DtabOf(vector);
  const auto path = Path::Parse(Text(vector, "path"));
  if (!dtab.ok() || !path.ok()) return "the dtab or the path cannot be read";
  const naming::PathTree tree = dtab->Lookup(*path);
  VectorJson got;
  got["dtab_show"] = dtab->Show();
  got["tree"] = JsonOf(tree);
  got["show"] = naming::ShowTree(tree);
  got["simplified"] = naming::ShowTree(naming::SimplifyTree(tree));
  return got;
}

VectorJson Bind(const VectorJson& vector) {
  const auto dtab = DtabOf(vector);
  const auto path = Path::Parse(Text(vector, "path"));
  if (!dtab.ok() || !path.ok()) return "the dtab or the path cannot be read";
  const NamersOfVector namers(vector.at("namers"));
  const naming::BindResult result = naming::Bind(*dtab, *path, namers.set());
  VectorJson got;
  switch (result.state) {
    case naming::BindResult::State::kPending:
      got["state"] = "pending";
      return got;
    case naming::BindResult::State::kFailed:
      got["state"] = "failed";
      got["error_kind"] = result.kind;
      got["error"] = result.error;
      return got;
    case naming::BindResult::State::kOk:
      break;
  }
  got["state"] = "ok";
  got["show"] = naming::ShowTree(result.tree);
  got["tree"] = JsonOf(result.tree);
  got["eval"] = EvalJson(naming::EvalTree(result.tree));
  got["addr"] = JsonOf(naming::MergedAddr(result.tree));
  got["shares"] = JsonOf(naming::Shares(result.tree));
  return got;
}

VectorJson Answer(int status, const std::string& error) {
  VectorJson got;
  got["status"] = status;
  got["error"] = error;
  return got;
}

VectorJson Delegate(const VectorJson& vector) {
  const auto dtab = DtabOf(vector);
  if (!dtab.ok()) return Answer(400, "Invalid dtab: " + dtab.status().message());
  const auto path = Path::Parse(Text(vector, "path"));
  if (!path.ok()) return Answer(400, "Invalid path: " + path.status().message());
  const NamersOfVector namers(vector.at("namers"));
  const auto transformers = TransformersOfVector(vector.value("transformers", VectorJson::array()));
  const auto tree = naming::Delegate(*dtab, *path, namers.set(), nullptr, transformers);
  if (!tree.ok()) {
    const bool late = tree.status().code() == base::Code::kTimeout;
    return Answer(late ? 503 : 500, tree.status().message());
  }
  if (!naming::PendingAddrs(*tree).empty()) return Answer(503, "Request timed out.");
  VectorJson got;
  got["status"] = 200;
  got["json"] = VectorJson::parse(naming::DelegateJson(*tree));
  return got;
}

VectorJson Rewriter(const VectorJson& vector) {
  const auto path = Path::Parse(Text(vector, "path"));
  if (!path.ok()) return "the path cannot be read";
  const NamersOfVector namers(VectorJson::array());
  naming::Dependencies deps;
  const naming::Lookup answer = naming::AskNamers(namers.set(), *path, &deps, nullptr);
  using Kind = naming::NameTree<naming::Name>::Kind;
  VectorJson got;
  if (answer.state != naming::Lookup::State::kOk) {
    got["failed"] = answer.error;
  } else if (!answer.tree.is(Kind::kLeaf)) {
    got["tree"] = answer.tree.is(Kind::kFail) ? "!" : answer.tree.is(Kind::kEmpty) ? "$" : "~";
  } else if (answer.tree.leaf.bound != nullptr) {
    got["tree"] = answer.tree.leaf.bound->id.Show();
  } else {
    got["path"] = answer.tree.leaf.path.Show();
  }
  return got;
}

VectorJson ThriftName(const VectorJson& vector) {
  const auto prefix = Path::Parse(Text(vector, "dst_prefix"));
  if (!prefix.ok()) return "the prefix cannot be read";
  std::optional<std::string> dest;
  if (!vector.at("header_dest").is_null()) dest = Text(vector, "header_dest");
  const auto name = naming::NameOfCall(*prefix, dest, Text(vector, "message_name"),
                                       vector.at("method_in_dst").get<bool>());
  VectorJson got;
  if (name.ok()) {
    got["name"] = name->Show();
  } else {
    got["error"] = name.status().message();
  }
  return got;
}

VectorJson FsFile(const VectorJson& vector) {
  return JsonOf(naming::ParseFsFile(Text(vector, "text")));
}

VectorJson ServersetPath(const VectorJson& vector) {
  const auto path = naming::ParseServersetPath(Text(vector, "path"));
  VectorJson got;
  if (!path.ok()) {
    got["error"] = path.status().message();
    return got;
  }
  if (!*path) return nullptr;
  const naming::ServersetName& name = (*path)->name;
  std::string znodes;
  for (const auto& znode : name.znodes) znodes += "/" + znode;
  got["zk_hosts"] = (*path)->hosts;
  got["zk_path"] = znodes.empty() ? "/" : znodes;
  got["endpoint"] = name.endpoint ? VectorJson(*name.endpoint) : VectorJson(nullptr);
  got["shard"] = name.shard ? VectorJson(*name.shard) : VectorJson(nullptr);
  return got;
}

VectorJson EntryJson(const naming::ServersetEntry& entry, bool used) {
  VectorJson json;
  if (!used) {
    json["member"] = entry.member;
    json["names"] = VectorJson::array();
    for (const auto& name : entry.names) {
      json["names"].push_back(name ? VectorJson(*name) : VectorJson(nullptr));
    }
    json["status"] = entry.status;
  }
  json["host"] = entry.host;
  json["port"] = entry.port;
  json["weight"] = entry.weight;
  json["shard"] = entry.shard ? VectorJson(*entry.shard) : VectorJson(nullptr);
  json["metadata"] = VectorJson::object();
  if (entry.metadata) json["metadata"] = *entry.metadata;
  return json;
}

VectorJson ServersetNodes(const VectorJson& vector) {
  std::vector<naming::ServersetNode> nodes;
  for (const auto& node : vector.at("nodes")) {
    nodes.push_back({Text(node, "name"), Text(node, "data")});
  }
  std::optional<std::string> endpoint;
  if (!vector.at("endpoint").is_null()) endpoint = Text(vector, "endpoint");
  std::optional<int64_t> shard;
  if (!vector.at("shard").is_null()) shard = vector.at("shard").get<int64_t>();
  const auto entries = naming::ParseServersetNodes(nodes);
  VectorJson got;
  got["entries"] = VectorJson::array();
  for (const auto& entry : entries) got["entries"].push_back(EntryJson(entry, false));
  const bool bound =
      naming::ServersetAddr(nodes, endpoint, shard).kind == naming::Addr::Kind::kBound;
  got["type"] = bound ? "bound" : "neg";
  std::set<VectorJson> used;
  for (const auto& entry : naming::PickServersetEntries(entries, endpoint, shard)) {
    used.insert(EntryJson(entry, true));
  }
  got["addrs"] = VectorJson(std::vector<VectorJson>(used.begin(), used.end()));
  return got;
}

struct KindRow {
  std::string_view kind;
  VectorJson (*run)(const VectorJson& vector);
};
constexpr KindRow kKinds[] = {
    {"path-parse", PathParse},
    {"nametree-parse", TreeParse},
    {"dtab-parse", DtabParse},
    {"prefix-match", PrefixMatch},
    {"dtab-lookup", DtabLookup},
    {"bind", Bind},
    {"delegate", Delegate},
    {"rewriters", Rewriter},
    {"thrift-names", ThriftName},
    {"fs-files", FsFile},
    {"serverset-paths", ServersetPath},
    {"serverset-nodes", ServersetNodes},
};

// What a vector expects: its "expect", or all of it but what is given.
VectorJson Expected(const VectorJson& vector) {
  if (vector.contains("expect")) return vector.at("expect");
  VectorJson expected = VectorJson::object();
  static const std::set<std::string> kGiven = {"id", "src", "desc", "input", "prefix", "path"};
  for (const auto& [key, value] : vector.items()) {
    if (!kGiven.contains(key)) expected[key] = value;
  }
  return expected;
}

bool Holds(const VectorJson& expected, VectorJson got) {
  // An error without a position: the JVM's, of characters that a router on bytes does not know.
  const bool fails = expected.is_object() && got.is_object() && !expected.value("ok", true) &&
                     !got.value("ok", true);
  if (fails && expected.value("pos", VectorJson(nullptr)).is_null()) return true;
  // Of failed binds the kinds count.
  if (expected.is_object() && expected.contains("error_kind") && got.contains("error_kind")) {
    return expected["state"] == got["state"] && expected["error_kind"] == got["error_kind"];
  }
  return AsExpected(expected, got);
}

std::string Short(const VectorJson& json) {
  std::string text = json.dump(-1, ' ', false, VectorJson::error_handler_t::replace);
  if (text.size() > 700) text = text.substr(0, 700) + "…";
  return text;
}

}  // namespace

bool KnownVectorKind(std::string_view kind) {
  return std::any_of(std::begin(kKinds), std::end(kKinds),
                     [&](const KindRow& row) { return row.kind == kind; });
}

std::string CheckVector(std::string_view kind, const VectorJson& vector) {
  for (const KindRow& row : kKinds) {
    if (row.kind != kind) continue;
    try {
      const VectorJson expected = Expected(vector);
      const VectorJson got = row.run(vector);
      if (Holds(expected, got)) return "";
      return "expected " + Short(expected) + "\n         got " + Short(got);
    } catch (const std::exception& error) {
      return std::string("the vector cannot be run: ") + error.what();
    }
  }
  return "unknown kind of vector";
}

VectorTotals RunNamingVectors(const std::string& dir, std::ostream& out) {
  VectorTotals totals;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    const std::string kind = file.stem();
    if (!KnownVectorKind(kind)) {
      out << file.filename().string() << ": no such kind of vectors is known; not run\n";
      ++totals.unknown_files;
      continue;
    }
    std::ifstream lines(file);
    std::string line;
    for (size_t number = 1; std::getline(lines, line); ++number) {
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      const VectorJson vector = VectorJson::parse(line, nullptr, false);
      const std::string fault = vector.is_object() ? CheckVector(kind, vector) : "not JSON";
      if (fault.empty()) {
        ++totals.passed;
        continue;
      }
      ++totals.failed;
      const bool named = vector.is_object() && vector.contains("id");
      out << (named ? vector["id"].get<std::string>() : kind + " line " + std::to_string(number))
          << ": " << fault << "\n";
    }
  }
  return totals;
}

}  // namespace trestle::tests
