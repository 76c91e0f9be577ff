module trestle/go_peer

go 1.21

require github.com/apache/thrift v0.20.0
