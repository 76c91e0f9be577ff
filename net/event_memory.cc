#include "net/event_memory.h"

#include <event2/event.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace trestle::net {
namespace {

// Stands before what is given, and keeps it aligned.
struct alignas(std::max_align_t) Head {
  size_t size;
  Head* next;  // of the free ones
};

constexpr size_t kSmall = 48;  // bytes of a cell; what is larger comes from the heap
constexpr size_t kCells = 1024;

std::mutex mutex;
Head* free_cells = nullptr;

Head* TakeCell() {
  constexpr size_t kCell = sizeof(Head) + kSmall;
  std::lock_guard lock(mutex);
  if (!free_cells) {
    char* chunk = static_cast<char*>(std::malloc(kCells * kCell));
    for (size_t i = 0; chunk && i < kCells; i++) {
      auto* cell = reinterpret_cast<Head*>(chunk + i * kCell);
      cell->next = free_cells;
      free_cells = cell;
    }
  }
  Head* cell = free_cells;
  if (cell) free_cells = cell->next;
  return cell;
}

void* Allocate(size_t size) {
  Head* head = size <= kSmall ? TakeCell() : static_cast<Head*>(std::malloc(sizeof(Head) + size));
  if (!head) return nullptr;
  head->size = size;
  return head + 1;
}

void Free(void* memory) {
  if (!memory) return;
  Head* head = static_cast<Head*>(memory) - 1;
  if (head->size > kSmall) return std::free(head);
  std::lock_guard lock(mutex);
  head->next = free_cells;
  free_cells = head;
}

void* Reallocate(void* memory, size_t size) {
  if (!memory) return Allocate(size);
  const size_t before = (static_cast<Head*>(memory) - 1)->size;
  void* more = Allocate(size);
  if (!more) return nullptr;
  std::memcpy(more, memory, std::min(before, size));
  Free(memory);
  return more;
}

}  // namespace

void FreeEventMemory(void* memory) { Free(memory); }

void UseEventMemory() {
  static std::once_flag once;
  std::call_once(once, [] { event_set_mem_functions(&Allocate, &Reallocate, &Free); });
}

}  // namespace trestle::net
