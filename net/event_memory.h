// EventMemory: memory for libevent's smallest things, apart from all other memory.
//
// libevent keeps a few bytes for each descriptor number for ever. Taken from the heap in the midst
// of a burst of connections, one of them would keep nearly every page of the burst from going back
// to the system.
//
// Lifetime: the process's. Threading: any thread; behind a mutex, which no call passes: libevent
// takes memory when a descriptor is first watched. Errors: none; out of memory is nullptr.
#pragma once

namespace trestle::net {

// Makes libevent use it; before anything else of libevent. Once is enough.
void UseEventMemory();
// For what libevent hands over with the word that free() is to be called for it.
void FreeEventMemory(void* memory);

}  // namespace trestle::net
