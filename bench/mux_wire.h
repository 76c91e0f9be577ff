// The few messages of mux that bench programs need besides calls and replies: the start of a
// session from both sides, and pings.
//
// Written from the wire format and nothing of the router's, as EchoMessage is.
//
// Lifetime: none. Threading: any. Errors: a text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace trestle::bench {

// size:4 type:1 tag:3; the size counts what stands behind itself.
inline constexpr size_t kMuxHead = 8;
inline constexpr size_t kMuxTypeAt = 4, kMuxTagAt = 5;
inline constexpr uint32_t kMuxFirstTag = 2;       // of calls; lower ones are for what is no call
inline constexpr uint32_t kMuxMaxTag = 0x7fffff;  // the bit above says that it is a fragment
inline constexpr char kTdispatch = 2, kRdispatch = -2, kTping = 65, kRping = -65;

std::string MuxMessage(char type, uint32_t tag, std::string_view body);

// The client's part of the start of a session on a fresh connection, which does not block: the
// probe, Tinit, and the wait for each answer, of some seconds at most. `body`: the most bytes
// behind type and tag of what is to be sent. False: the other side does not do its part, *why.
bool StartMuxSession(int fd, size_t body, std::string* why);

// The server's part, with pings: adds the answer to a whole message that is no call, if it has one.
// False: nothing that a client should send.
bool AnswerMux(std::string_view message, std::string* out);

}  // namespace trestle::bench
