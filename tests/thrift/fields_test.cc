// Reader and Writer: fields as the headers and exceptions use them, and the ids that those do not.
#include <gtest/gtest.h>

#include "tests/thrift/bytes.h"
#include "thrift/reader.h"
#include "thrift/writer.h"

namespace trestle::thrift {
namespace {

constexpr Protocol kBoth[] = {Protocol::kBinary, Protocol::kCompact};

TEST(Fields, CompactIdsAreStepsOrWrittenOut) {
  std::string out;
  Writer writer(Protocol::kCompact, &out);
  writer.I32(15, 1);  // a step of 15
  writer.I32(31, 1);  // 16 is no step
  writer.I32(31, 1);  // nor is 0
  writer.I32(30, 1);  // nor a step back
  writer.I32(-1, 1);
  writer.I32(INT16_MAX, 1);
  writer.I32(INT16_MIN, 1);
  writer.Stop();
  EXPECT_EQ(out, Hex("f5 02 05 3e 02 05 3e 02 05 3c 02 05 01 02 05 feff03 02 05 ffff03 02 00"));
}

TEST(Fields, IdsComeBack) {
  const int16_t kIds[] = {1, 16, 32, 47, 48, 3, 0, -1, -300, INT16_MAX, INT16_MIN, 7};
  for (const Protocol protocol : kBoth) {
    std::string out;
    Writer writer(protocol, &out);
    for (const int16_t id : kIds) writer.Bool(id, id % 2 == 0);
    writer.Stop();
    Reader reader(protocol, out, INT32_MAX);
    Field field;
    for (const int16_t id : kIds) {
      ASSERT_TRUE(reader.NextField(&field));
      EXPECT_EQ(field.id, id);
      EXPECT_EQ(field.type, Type::kBool);
      bool value = id % 2 != 0;
      ASSERT_TRUE(reader.Bool(field, &value));
      EXPECT_EQ(value, id % 2 == 0);
    }
    EXPECT_FALSE(reader.NextField(&field));
    EXPECT_TRUE(reader.ok());
    EXPECT_EQ(reader.at(), out.size());
  }
}

TEST(Fields, NumbersComeBack) {
  const int64_t kNumbers[] = {0,    1,    -1,        63,        64,        -64,      -65,
                              8191, 8192, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
  for (const Protocol protocol : kBoth) {
    for (const int64_t number : kNumbers) {
      std::string out;
      Writer writer(protocol, &out);
      writer.I64(1, number);
      writer.I32(2, static_cast<int32_t>(number));
      writer.Stop();
      Reader reader(protocol, out, INT32_MAX);
      Field field;
      int64_t wide = 0;
      int32_t narrow = 0;
      ASSERT_TRUE(reader.NextField(&field) && reader.I64(&wide));
      ASSERT_TRUE(reader.NextField(&field) && reader.I32(&narrow));
      EXPECT_EQ(wide, number);
      EXPECT_EQ(narrow, static_cast<int32_t>(number));
      EXPECT_FALSE(reader.NextField(&field));
      EXPECT_TRUE(reader.ok());
    }
  }
}

TEST(Fields, AStructInBetweenKeepsTheIdsAroundIt) {
  for (const Protocol protocol : kBoth) {
    std::string out;
    Writer writer(protocol, &out);
    writer.BeginStruct(5);
    writer.Binary(9, "inner");
    writer.EndStruct();
    writer.Binary(6, "outer");
    writer.Stop();
    Reader reader(protocol, out, INT32_MAX);
    Field outer;
    Field inner;
    std::string_view text;
    ASSERT_TRUE(reader.NextField(&outer));
    EXPECT_EQ(outer.id, 5);
    ASSERT_TRUE(reader.NextField(&inner) && reader.Binary(&text));
    EXPECT_EQ(inner.id, 9);
    EXPECT_EQ(text, "inner");
    ASSERT_FALSE(reader.NextField(&inner));
    ASSERT_TRUE(reader.NextField(&outer) && reader.Binary(&text));
    EXPECT_EQ(outer.id, 6);
    EXPECT_EQ(text, "outer");
  }
}

TEST(Fields, TheFirstFailureStays) {
  const std::string bytes = Hex("0b0001 80000000 00 00 00 00");
  Reader reader(Protocol::kBinary, bytes, INT32_MAX);
  Field field;
  std::string_view text;
  ASSERT_TRUE(reader.NextField(&field));
  EXPECT_FALSE(reader.Binary(&text));
  EXPECT_STREQ(reader.result().why, "a size is negative");
  int32_t number = 0;
  EXPECT_FALSE(reader.I32(&number));
  EXPECT_FALSE(reader.NextField(&field));
  EXPECT_FALSE(reader.Skip(field, 1));
  EXPECT_FALSE(reader.Fail("something else"));
  EXPECT_EQ(reader.result().outcome, Outcome::kMalformed);
  EXPECT_STREQ(reader.result().why, "a size is negative");
}

}  // namespace
}  // namespace trestle::thrift
