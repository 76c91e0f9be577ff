#include "base/status.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

namespace trestle::base {
namespace {

TEST(Status, OkByDefault) {
  Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), Code::kOk);
  EXPECT_EQ(status.ToString(), "ok");
  EXPECT_TRUE(Status::Ok().ok());
}

TEST(Status, TellsCodeAndMessage) {
  Status status(Code::kTimeout, "no reply within 300 ms");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.code(), Code::kTimeout);
  EXPECT_EQ(status.message(), "no reply within 300 ms");
  EXPECT_EQ(status.ToString(), "timeout: no reply within 300 ms");
}

TEST(Status, TableOfCodes) {
  struct Row {
    Code code;
    const char* name;
    int http;
    bool nack;
  } rows[] = {
      {Code::kOk, "ok", 200, false},
      {Code::kInvalid, "invalid", 400, false},
      {Code::kMalformed, "malformed", 400, false},
      {Code::kNoRoute, "no_route", 404, false},
      {Code::kUnavailable, "unavailable", 502, false},
      {Code::kClosed, "closed", 502, false},
      {Code::kTimeout, "timeout", 504, false},
      {Code::kCancelled, "cancelled", 499, false},
      {Code::kRefused, "refused", 503, true},
      {Code::kInternal, "internal", 500, false},
  };
  std::set<std::string> names;
  for (const Row& row : rows) {
    EXPECT_STREQ(CodeName(row.code), row.name);
    EXPECT_EQ(RowOf(row.code).http_status, row.http) << row.name;
    EXPECT_EQ(RowOf(row.code).mux_nack, row.nack) << row.name;
    // Every error of the router is an INTERNAL_ERROR, which clients read as "the far side is
    // broken".
    EXPECT_EQ(RowOf(row.code).thrift_type, row.code == Code::kOk ? 0 : 6) << row.name;
    names.insert(row.name);
  }
  EXPECT_EQ(names.size(), std::size(rows));
}

TEST(Result, HoldsAValue) {
  Result<std::string> result(std::string("users"));
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result.status().ok());
  EXPECT_EQ(*result, "users");
  EXPECT_EQ(result->size(), 5u);
  result.value() += "!";
  EXPECT_EQ(std::as_const(result).value(), "users!");
}

TEST(Result, HoldsAFailure) {
  Result<int> result(Code::kNoRoute, "nothing there");
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kNoRoute);
  Result<int> again = Status(Code::kClosed, "gone");
  EXPECT_FALSE(again.ok());
  EXPECT_EQ(again.status().ToString(), "closed: gone");
}

TEST(Result, GivesWhatCanOnlyBeMoved) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 7);
}

}  // namespace
}  // namespace trestle::base
