// Bytes for codec tests: hex in, and copies that end exactly where the memory does.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace trestle::thrift {

// "80 01 0a" -> three bytes; spaces are for the reader.
inline std::string Hex(std::string_view hex) {
  std::string out;
  int high = -1;
  for (char c : hex) {
    if (c == ' ') continue;
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    if (high < 0) {
      high = digit;
    } else {
      out.push_back(static_cast<char>(high << 4 | digit));
      high = -1;
    }
  }
  return out;
}

// A copy on the heap with nothing behind it, so that a read past the end is seen by asan.
class Exact {
 public:
  explicit Exact(std::string_view bytes) : data_(new char[bytes.size()]), size_(bytes.size()) {
    if (size_ > 0) std::memcpy(data_.get(), bytes.data(), size_);
  }
  std::string_view view() const { return {data_.get(), size_}; }
  bool Holds(std::string_view part) const {
    return part.empty() ||
           (part.data() >= data_.get() && part.data() + part.size() <= data_.get() + size_);
  }

 private:
  std::unique_ptr<char[]> data_;
  size_t size_;
};

}  // namespace trestle::thrift
