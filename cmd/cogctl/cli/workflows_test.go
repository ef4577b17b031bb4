package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	workflowCommand    = regexp.MustCompile(`(?m)bin/cogctl ([^\n#&|]*)`)
	workflowExpression = regexp.MustCompile(`\$\{\{[^}]*\}\}`)
)

// A workflow runs where nobody looks, so its commands are held to the command tree as the documents' are.
func TestWorkflowCommandsExist(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", ".github", "workflows", "*.yml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("found workflows %v (%v)", files, err)
	}
	found := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range workflowCommand.FindAllStringSubmatch(string(raw), -1) {
			found++
			line := workflowExpression.ReplaceAllString(m[1], "staging")
			if err := parses(line); err != nil {
				t.Errorf("%s: cogctl %s: %v", file, line, err)
			}
		}
	}
	if found < 4 {
		t.Errorf("only %d commands were found in the workflows", found)
	}
}
