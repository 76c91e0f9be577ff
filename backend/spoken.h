// Spoken: how the messages of one backend connection are written, and how many calls it carries.
// Settled when it was opened, so that a change of the options does not change it half way.
//
// Lifetime, threading: a value. Errors: none.
#pragma once

#include <cstdint>

#include "backend/options.h"
#include "thrift/dialect.h"
#include "thrift/message.h"

namespace trestle::backend {

struct Spoken {
  Wire wire = Wire::kThrift;  // never kAuto
  thrift::Framing framing = thrift::Framing::kFramed;
  // That of the first call, from then on: servers may tell it from a connection's first bytes.
  thrift::Protocol protocol = thrift::Protocol::kBinary;
  bool upgraded = false;            // TTwitter: headers before all messages
  bool strip_service_name = false;  // "userService:addUser" is sent as "addUser"
  uint32_t max_in_flight = 1;

  static Spoken By(const Options& options, thrift::Protocol protocol, bool upgraded,
                   Wire wire = Wire::kThrift) {
    const bool theader = wire == Wire::kTHeader;
    return {wire,
            theader ? thrift::Framing::kTHeader : options.framing,
            protocol,
            upgraded && !theader,
            options.strip_service_name,
            options.Places(wire)};
  }
};

}  // namespace trestle::backend
