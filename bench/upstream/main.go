// Command upstream is the double of OpenAI in a process of its own, so that those who ask it can be measured without it.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/cognomega/edge/internal/localcloud/doubles"
)

// main serves until its input ends.
func main() {
	delay := flag.String("delay", "50ms", "before each answer, as in a plan of cogctl local faults")
	flag.Parse()
	set := doubles.New(time.Now)
	err := set.Plan("openai", doubles.Plan{Delay: *delay})
	var l net.Listener
	if err == nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	server := &http.Server{Handler: set.Of("openai"), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	fmt.Println(l.Addr())
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // its end, or anything, ends it
}
