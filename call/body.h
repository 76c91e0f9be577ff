// Body: the part of a message that is still on its way, when the message is too large to be held
// until whole. Its bytes go from the session that reads them (the source) to the one that writes
// them (the sink) as they come; what the sink cannot take waits with the source, which then reads
// no more.
//
// Lifetime: a Body is part of its Call; source and sink are the sessions at either end, and each
// takes itself out before it goes. Threading: one worker's loop. Errors: a source or sink that
// fails ends the Call.
#pragma once

#include <cstdint>

#include "base/buffer.h"

namespace trestle::call {

class Call;

// Who reads the body.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // There is a sink with room: hand on what is here, and read on.
  virtual void OnBodyRoom(Call* call) = 0;
};

// Who writes the body.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // The next bytes; `rest` of the Body is already without them. False: no more, please, until
  // OnBodyRoom (these were taken all the same).
  virtual bool OnBody(Call* call, base::Buffer bytes) = 0;
};

struct Body {
  uint64_t rest = 0;  // bytes that the source has not handed on yet; 0: the message is whole
  BodySource* source = nullptr;
  BodySink* sink = nullptr;  // null until somebody can take it: the source waits
  bool whole() const { return rest == 0; }
};

}  // namespace trestle::call
