// go_peer: calls and answers on the header transport of Apache Thrift's Go library.
//
//	go_peer server
//	go_peer client PORT binary|compact|binary-zlib|compact-zlib METHOD ARGUMENT [KEY=VALUE]…
//
// The server prints "listening PORT" and answers every call with "METHOD ARGUMENT", in the caller's
// protocol and with its zlib, and sends its keys back as seen-KEY. The client prints the result, or
// the application exception, and the keys that came, as {KEY=VALUE KEY=VALUE}.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
)

var ctx = context.Background()

// message writes an envelope with one string in it.
func message(p thrift.TProtocol, name string, kind thrift.TMessageType, seqid int32, field int16, text string) error {
	steps := []error{
		p.WriteMessageBegin(ctx, name, kind, seqid),
		p.WriteStructBegin(ctx, ""),
		p.WriteFieldBegin(ctx, "", thrift.STRING, field),
		p.WriteString(ctx, text),
		p.WriteFieldEnd(ctx),
		p.WriteFieldStop(ctx),
		p.WriteStructEnd(ctx),
		p.WriteMessageEnd(ctx),
		p.Flush(ctx),
	}
	for _, err := range steps {
		if err != nil {
			return err
		}
	}
	return nil
}

// body reads the one string that the other side wrote.
func body(p thrift.TProtocol) (text string, err error) {
	if _, err = p.ReadStructBegin(ctx); err != nil {
		return
	}
	for {
		_, kind, _, err := p.ReadFieldBegin(ctx)
		if err != nil {
			return text, err
		}
		if kind == thrift.STOP {
			break
		}
		if kind == thrift.STRING {
			text, err = p.ReadString(ctx)
		} else {
			err = p.Skip(ctx, kind)
		}
		if err != nil {
			return text, err
		}
	}
	return text, p.ReadMessageEnd(ctx)
}

func serve(connection net.Conn) {
	defer connection.Close()
	p := thrift.NewTHeaderProtocolConf(thrift.NewTSocketFromConnConf(connection, nil), nil)
	for {
		name, kind, seqid, err := p.ReadMessageBegin(ctx)
		if err != nil {
			return
		}
		text, err := body(p)
		if err != nil {
			return
		}
		if kind == thrift.ONEWAY {
			continue
		}
		p.ClearWriteHeaders()
		for key, value := range p.GetReadHeaders() {
			p.SetWriteHeader("seen-"+key, value)
		}
		if message(p, name, thrift.REPLY, seqid, 0, name+" "+text) != nil {
			return
		}
	}
}

func client(port, dialect, method, argument string, keys []string) error {
	protocol := thrift.THeaderProtocolBinary
	if strings.HasPrefix(dialect, "compact") {
		protocol = thrift.THeaderProtocolCompact
	}
	conf := &thrift.TConfiguration{
		THeaderProtocolID: thrift.THeaderProtocolIDPtrMust(protocol), SocketTimeout: time.Minute}
	socket := thrift.NewTSocketConf("127.0.0.1:"+port, conf)
	if err := socket.Open(); err != nil {
		return err
	}
	p := thrift.NewTHeaderProtocolConf(socket, conf)
	if strings.HasSuffix(dialect, "zlib") {
		if err := p.AddTransform(thrift.TransformZlib); err != nil {
			return err
		}
	}
	for _, key := range keys {
		key, value, _ := strings.Cut(key, "=")
		p.SetWriteHeader(key, value)
	}
	if err := message(p, method, thrift.CALL, 7, 1, argument); err != nil {
		return err
	}
	name, kind, seqid, err := p.ReadMessageBegin(ctx)
	if err != nil {
		return err
	}
	text, err := body(p)
	if err != nil {
		return err
	}
	if seqid != 7 {
		return fmt.Errorf("seqid %d of %s", seqid, name)
	}
	var came []string
	for key, value := range p.GetReadHeaders() {
		came = append(came, key+"="+value)
	}
	sort.Strings(came)
	outcome := map[thrift.TMessageType]string{thrift.REPLY: "ok", thrift.EXCEPTION: "application"}
	fmt.Printf("%s %s {%s}\n", outcome[kind], text, strings.Join(came, " "))
	return nil
}

func main() {
	if os.Args[1] == "client" {
		if err := client(os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6:]); err != nil {
			fmt.Println("transport:", err)
			os.Exit(1)
		}
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go serve(connection)
	}
}
