// The few socket calls of the load driver and the echo backend.
//
// Lifetime: descriptors are the caller's to close. Threading: any. Errors: a line on standard error
// and exit code 1; a bench without its sockets has nothing to measure.
#pragma once

#include <cstdint>
#include <string>

namespace trestle::bench {

// Ends the program.
[[noreturn]] void Die(const std::string& why);
// The same, with what errno says.
[[noreturn]] void DieOfErrno(const std::string& what);

// A descriptor that accepts on 127.0.0.1; *port is the port it got when it was 0.
int ListenOn(uint16_t* port);
// A descriptor connected to 127.0.0.1:port, which does not block, or -1 with errno.
int ConnectTo(uint16_t port);
// Does not block, and sends small messages at once.
void MakeReady(int fd);
// Tells `epoll` of input and output, once for each change; `data` comes back with the event.
void Watch(int epoll, int fd, void* data);

}  // namespace trestle::bench
