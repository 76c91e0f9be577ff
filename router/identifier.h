// Identifier: the key under which a worker knows the name of a call, and the name itself.
//
// The key is what the name is made of, as bytes: finding it costs one pass over a few dozen bytes;
// the path is made and parsed only for a key not seen before.
//
// Lifetime: of its Router. Threading: its worker's loop; the last key is kept in it. Errors:
// kInvalid: the call fails.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "call/call.h"
#include "naming/dtab.h"
#include "naming/path.h"

namespace trestle::router {

class Identifier {
 public:
  // What of a mux call is part of its name.
  enum class Mux {
    kMessage,        // its message
    kMessageAndDst,  // its destination and its message, as with a TTwitter header
    kDst,            // its destination alone: the message may be anything
  };
  Identifier(naming::Path dst_prefix, bool method_in_dst, Mux mux = Mux::kMessage)
      : dst_prefix_(std::move(dst_prefix)), method_in_dst_(method_in_dst), mux_(mux) {}

  // Holds until the next call of Key.
  std::string_view Key(const call::Call& call);
  // dstPrefix ++ dest ++ service and method.
  base::Result<naming::Path> Name(const call::Call& call) const;
  // What the client wants for this one request; empty without a header.
  static base::Result<naming::Dtab> LocalDtab(const call::Call& call);
  // The same as it was written, to tell one from another; empty: none.
  static std::string LocalText(const call::Call& call);

 private:
  std::string_view Dest(const call::Call& call) const;
  naming::Path dst_prefix_;
  bool method_in_dst_;
  Mux mux_;
  std::string key_;
};

}  // namespace trestle::router
