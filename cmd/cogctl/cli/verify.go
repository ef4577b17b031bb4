package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/suite"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

type verifyOptions struct {
	keys     []string
	contract string
	show     bool
}

// verifiedProof is what a file says, once it is believed; and why it is not, otherwise.
type verifiedProof struct {
	File    string              `json:"file"`
	Status  string              `json:"status"` // verified, unjudged or rejected
	Key     *evidence.Key       `json:"key,omitempty"`
	Problem *verifyProblem      `json:"problem,omitempty"`
	Proof   *evidence.Predicate `json:"-"`
	Says    *proofSummary       `json:"proof,omitempty"` // of a good signature
	payload []byte
	err     error
}

type verifyProblem struct {
	Kind    fault.Kind `json:"kind"`
	Message string     `json:"message"`
	Hint    string     `json:"hint,omitempty"`
}

// proofSummary is a proof without its raw data.
type proofSummary struct {
	Check    string             `json:"check"`
	Title    string             `json:"title"`
	At       string             `json:"at"`
	Tool     string             `json:"tool"`
	Contract string             `json:"contract_sha256"`
	Where    evidence.Where     `json:"environment"`
	Verdict  audit.Verdict      `json:"verdict"`
	Summary  string             `json:"summary"`
	Findings []audit.Finding    `json:"findings"`
	Subjects []evidence.Subject `json:"subjects"`
}

// The statuses of a file.
const (
	verified = "verified"
	unjudged = "unjudged" // a good signature, and a verdict that cannot be derived here
	rejected = "rejected"
)

type verifyResult struct {
	Proofs []verifiedProof `json:"proofs"`
}

func newVerify(d *Deps) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use: "verify <file>...", Short: "Check proofs without trusting who made them", Args: cobra.MinimumNArgs(1),
		Long: "Check proofs without trusting who made them, and without a network: the signature must be a known key's, and the verdict is derived again from the raw data in the proof. " +
			"A file in which one bit was changed is rejected, and so is a verdict that its data does not bear out, whoever signed it. - is stdin.\n\n" +
			"Known keys are those of `cogctl keys list`, or those of --key alone.\n\n" +
			"Exit codes: 0 verified, and the check passed; 1 verified, and the check failed; 2 not a proof; 3 rejected: changed, signed by an unknown key, or not borne out by its own data; " +
			"4 inconclusive, or made under another contract. Of several files the worst decides: 3, 2, 1, 4.",
		Example: "  cogctl verify proofs/*.json\n  cogctl verify --key ci.pem proof.json\n  cogctl verify --show proof.json      # print what was signed",
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.show && len(args) > 1 {
				return fault.New(fault.Invalid, "--show prints one proof, %d were given", len(args))
			}
			result, err := runVerify(cmd.Context(), d, o, args)
			if err != nil {
				return err
			}
			if o.show {
				return showProof(d, result.Proofs[0])
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/verify/v1", Data: result, Blocks: result.blocks()}); err != nil {
				return err
			}
			return result.err()
		},
	}
	cmd.Flags().StringArrayVar(&o.keys, "key", nil, "file or folder of public keys to believe, instead of this machine's (repeatable)")
	cmd.Flags().StringVar(&o.contract, "contract", "", "folder of the contract to judge by (default: the one cogctl was built with)")
	cmd.Flags().BoolVar(&o.show, "show", false, "print the statement that was signed, as JSON, when it can be believed")
	must(cmd.MarkFlagDirname("contract"))
	return cmd
}

func runVerify(ctx context.Context, d *Deps, o verifyOptions, files []string) (*verifyResult, error) {
	var (
		v   evidence.Verifier
		err error
	)
	if v.Ring, err = d.believed(o.keys); err != nil {
		return nil, err
	}
	if v.Contract, err = d.judgedBy(o.contract); err != nil {
		return nil, err
	}
	v.Checks = suite.For(v.Contract)
	result := &verifyResult{}
	for _, file := range files {
		result.Proofs = append(result.Proofs, verifyFile(ctx, d, v, file))
	}
	return result, nil
}

// believed is the ring of the files that were given, or this machine's.
func (d *Deps) believed(files []string) (evidence.Ring, error) {
	if len(files) == 0 {
		return d.ring()
	}
	ring := evidence.Ring{}
	for _, file := range files {
		more, err := evidence.LoadRing(file)
		if err != nil {
			return nil, err
		}
		maps.Copy(ring, more)
	}
	return ring, nil
}

func (d *Deps) judgedBy(dir string) (*contract.Contract, error) {
	if dir == "" {
		return d.Contract()
	}
	c, err := contract.LoadFS(os.DirFS(dir))
	if err != nil {
		return nil, fault.New(fault.Invalid, "load the contract of %s: %w", dir, err)
	}
	return c, nil
}

func verifyFile(ctx context.Context, d *Deps, v evidence.Verifier, file string) verifiedProof {
	p := verifiedProof{File: file, Status: verified}
	raw, err := d.read(file)
	if err == nil {
		var found evidence.Verified
		if found, err = v.Verify(ctx, raw); found.Key.ID != "" && (err == nil || fault.KindOf(err) == fault.Inconclusive) {
			says := found.Statement.Predicate
			p.Key, p.payload = &found.Key, found.Payload
			p.Says = &proofSummary{
				says.Check, says.Title, says.At.Format(rfc3339), says.Tool, says.Contract, says.Where,
				says.Result.Verdict, says.Result.Summary, says.Result.Findings, found.Statement.Subject,
			}
		}
	}
	if p.err = err; err == nil {
		p.err = p.Says.Verdict.Err()
		return p
	}
	if p.Status = rejected; p.Says != nil {
		p.Status = unjudged
	}
	p.Problem = &verifyProblem{fault.KindOf(err), err.Error(), fault.HintOf(err)}
	return p
}

// err is the worst of the files: a rejected one, then what is no proof, then a failed check, then an open one. It is bare, as the
// report has said why.
func (r *verifyResult) err() error {
	var worst error
	rank := 0
	for _, p := range r.Proofs {
		for i, code := range []int{fault.ExitInconclusive, fault.ExitFinding, fault.ExitUsage, fault.ExitAPI} {
			if p.err != nil && fault.ExitCode(p.err) == code && i+1 > rank {
				rank, worst = i+1, fault.KindOf(p.err)
			}
		}
		if p.err != nil && worst == nil {
			worst = fault.KindOf(p.err)
		}
	}
	return worst
}

func (r *verifyResult) blocks() []term.Block {
	rows := term.Rows{Columns: []string{"proof", "status", "says", "of", "made", "signed by"}}
	blocks := []term.Block{}
	for _, p := range r.Proofs {
		if p.Says == nil {
			rows.Rows = append(rows.Rows, []term.Text{term.T(p.File), {Text: "✗ " + rejected, Tone: term.Bad}, term.T(""), term.T(""), term.T(""), term.T("")})
			blocks = append(blocks, p.because()...)
			continue
		}
		status := term.Text{Text: "✓ " + p.Status, Tone: term.Good}
		if p.Problem != nil {
			status = term.Text{Text: "? " + p.Status, Tone: term.Warn}
			blocks = append(blocks, p.because()...)
		}
		rows.Rows = append(rows.Rows, []term.Text{
			term.T(p.File), status, term.Mark(term.Verdict(p.Says.Verdict)), term.T(p.Says.Check + " on " + p.Says.Where.Name), term.T(p.Says.At), term.T(signedBy(*p.Key)),
		})
		if len(p.Says.Findings) > 0 {
			blocks = append(blocks, findingRows(p.Says.Findings, "got", "want"))
		}
	}
	return append([]term.Block{rows}, blocks...)
}

func (p verifiedProof) because() []term.Block {
	v := term.Fail
	if p.Status == unjudged {
		v = term.Inconclusive
	}
	blocks := []term.Block{term.Headline(v, p.File+": "+p.Problem.Message)}
	if p.Problem.Hint != "" {
		blocks = append(blocks, term.Hint(p.Problem.Hint))
	}
	return blocks
}

// signedBy is a key's name, or enough of its id to tell it from others.
func signedBy(k evidence.Key) string {
	if k.Name != "" {
		return k.Name
	}
	return k.ID[:16]
}

// showProof prints a statement that can be believed; of one that cannot, nothing, so that no program reads it by mistake.
func showProof(d *Deps, p verifiedProof) error {
	if p.Says == nil {
		return p.err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, p.payload, "", "  "); err != nil {
		return fault.New(fault.Internal, "show the proof: %w", err)
	}
	pretty.WriteByte('\n')
	if _, err := d.Term.Out().Write(pretty.Bytes()); err != nil {
		return fault.New(fault.Unavailable, "write the proof: %w", err)
	}
	return p.err
}
