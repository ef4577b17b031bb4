package parent_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cognomega/edge/stacks/parent"
)

// role makes the test binary the parent that dies, or the child that must notice.
const role = "PARENT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "parent":
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), role+"=child")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			os.Exit(1)
		}
		_ = child.Wait() // until it is killed
	case "child":
		ctx := parent.While(context.Background())
		fmt.Println("watching")
		select {
		case <-ctx.Done():
			fmt.Println("noticed")
		case <-time.After(20 * time.Second):
			fmt.Println("never noticed")
		}
	default:
		os.Exit(m.Run())
	}
}

func TestTheContextEndsWithTheParent(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=parent")
	cmd.Stdout = write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	said := make([]byte, 0, 64)
	for buf := make([]byte, 64); !strings.Contains(string(said), "noticed"); {
		n, err := read.Read(buf)
		said = append(said, buf[:n]...)
		if strings.Contains(string(said), "watching") {
			_ = cmd.Process.Signal(syscall.SIGKILL)
		}
		if err != nil {
			break
		}
	}
	_ = cmd.Wait()
	if got := strings.Fields(string(said)); len(got) != 2 || got[1] != "noticed" {
		t.Fatalf("the child said %q", said)
	}
}

func TestTheContextEndsWithItsOwner(t *testing.T) {
	t.Parallel()
	owner, cancel := context.WithCancel(context.Background())
	ctx := parent.While(owner)
	if ctx.Err() != nil {
		t.Fatal("ended while the parent lives")
	}
	cancel()
	<-ctx.Done()
}
