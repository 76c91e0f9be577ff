// The service behind the router in the end-to-end tests and in the demo: one method for each kind of
// call that Thrift has. The programs that speak it are made with Apache Thrift.
namespace cpp trestle.peers

struct User {
  1: i64 id
  2: string name
  // The version of the server that made this answer.
  3: string servedBy
  4: optional list<string> tags
}

exception UserExists {
  1: string name
}

exception NotFound {
  1: i64 id
}

service userService {
  User addUser(1: string name) throws (1: UserExists exists)
  User getUser(1: i64 id) throws (1: NotFound missing)
  list<User> listUsers()
  void ping()
  // The --version of the server.
  string version()
  string echo(1: string text)
  binary echoBytes(1: binary bytes)
  // Answers after so many milliseconds.
  string slow(1: i32 ms)
  // Always throws something that is not declared, which Thrift answers with an application exception.
  string fail(1: string text)
  oneway void log(1: string line)
  // How many lines log() brought so far.
  i64 logged()
}

// What a client may know that the servers do not: its method is unknown to them.
service userServiceNext extends userService {
  string notThereYet()
}
