package campaign

import (
	"context"
	"fmt"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/approval"
	"oshirase/mailer/sshsig"
)

// Approvals has people read, and approve, what was checked.
type Approvals struct {
	Ledger    Sheets
	Templates mailer.Templates
	Policy    mailer.Policy // that the config wishes
	Now       func() time.Time
	// Words says why there is no sample of a notice; nil leaves its codes.
	Words func(error) string
}

// Sheet is the text that approvers read and sign: of one campaign, or of several
// together. It is made once for each check, kept, and the same from then on.
func (a *Approvals) Sheet(ctx context.Context, by mailer.Actor, campaigns []string) (string, error) {
	by, err := a.may(ctx, by, mailer.ActSheet, campaigns)
	if err != nil {
		return "", err
	}
	now, err := a.Ledger.Policy(ctx)
	if err != nil {
		return "", err
	}
	if now == (mailer.Policy{}) {
		if err := a.Ledger.KeepPolicy(ctx, by, a.Policy); err != nil {
			return "", err
		}
	}
	return a.sheet(ctx, by, campaigns)
}

func (a *Approvals) may(ctx context.Context, by mailer.Actor, action mailer.Action, campaigns []string) (who mailer.Actor, err error) {
	for _, id := range campaigns {
		if who, _, err = mayWith(ctx, a.Ledger, by, action, id); err != nil {
			return mailer.Actor{}, err
		}
	}
	return who, nil
}

func (a *Approvals) sheet(ctx context.Context, by mailer.Actor, campaigns []string) (string, error) {
	parts := make([]approval.Part, len(campaigns))
	for i, id := range campaigns {
		var err error
		if parts[i], err = a.Ledger.Part(ctx, id); err != nil {
			return "", err
		}
		if parts[i].Sample, err = a.sample(&parts[i].Snapshot); err != nil && a.Words != nil {
			err = fmt.Errorf("%s", a.Words(err))
		}
		parts[i].SampleErr = err
		for _, a := range parts[i].Result.AcceptedCounts {
			parts[i].Remarks = append(parts[i].Remarks, remark(&a))
		}
	}
	return a.Ledger.Sheet(ctx, by, parts, func(p mailer.Policy, members []mailer.Member) string {
		return approval.Sheet(a.Now(), p, members, parts)
	})
}

// remark is a missed count that somebody has accepted, as it stands on the sheet.
func remark(a *mailer.CountAcceptance) string {
	return fmt.Sprintf("漏えい区分 %s：申告 %d名、リスト %d名。%s（%s）が了承、理由：%s", a.Exposure, a.Declared, a.Found, a.By, a.Proof.Japanese(), a.Reason)
}

// sample is the notice of somebody invented whom all of the campaign's exposures concern.
func (a *Approvals) sample(snap *mailer.Snapshot) (mailer.Notice, error) {
	tmpl, err := a.Templates.Compile(snap)
	if err != nil {
		return mailer.Notice{}, err
	}
	r := mailer.Recipient{
		Incident: snap.Incident.ID, Merchant: snap.Merchant.ID, Ref: "00000-00000", Exposures: sampleExposures(snap),
		Person: mailer.Person{CustomerID: "00000000", Name: "見本 太郎", Email: "sample@mail.example", PostalCode: "000-0000", Address: "見本県見本市0-0"},
	}
	if snap.Stage == mailer.StageFollowUp || snap.Stage == mailer.StageCorrection {
		r.Told = []mailer.Told{{Stage: mailer.StageFormal, On: snap.NoticeOn, Exposures: r.Exposures}}
	}
	return tmpl.Render(&r)
}

// sampleExposures are those that the campaign selects, or else that the merchant has
// declared, or else all.
func sampleExposures(snap *mailer.Snapshot) (ids []string) {
	if len(snap.Exposures) > 0 {
		return snap.Exposures
	}
	for _, e := range snap.Incident.Exposures {
		if _, declared := snap.Merchant.Declared[e.ID]; declared {
			ids = append(ids, e.ID)
		}
	}
	if len(ids) > 0 {
		return ids
	}
	return snap.Incident.ExposureIDs()
}

// Approve records one person's consent to exactly what was checked, of one campaign or
// of several together; count is how many notices they send in all, as the person typed
// it. Whose key is at hand signs the sheet with it.
func (a *Approvals) Approve(ctx context.Context, by mailer.Actor, campaigns []string, count int64) ([]mailer.Approved, error) {
	who, err := a.may(ctx, by, mailer.ActApprove, campaigns)
	if err != nil {
		return nil, err
	}
	if err := a.Ledger.KeepPolicy(ctx, who, a.Policy); err != nil {
		return nil, err
	}
	text, err := a.sheet(ctx, who, campaigns)
	if err != nil {
		return nil, err
	}
	signed := mailer.Signed{Text: text}
	if len(by.Keys) > 0 {
		if who.ID == "" || len(who.Keys) == 0 {
			return nil, mailer.NewError(mailer.ErrNotAllowed, "approve.key", "by", who.Name, "fingerprint", mailer.Fingerprint(by.Keys[0].Public()))
		}
		if signed, err = a.sign(ctx, who.Keys[0], text, campaigns); err != nil {
			return nil, err
		}
	}
	return a.Ledger.Approve(ctx, who, campaigns, count, a.Policy, signed)
}

// sign signs the sheet. A signature that was made elsewhere may be over another one that
// is kept of the same checks: of more campaigns than these.
func (a *Approvals) sign(ctx context.Context, key mailer.Signer, text string, campaigns []string) (mailer.Signed, error) {
	texts, err := a.Ledger.SheetTexts(ctx, campaigns[0])
	if err != nil {
		return mailer.Signed{}, err
	}
	for _, t := range append([]string{text}, texts...) {
		s := mailer.Signed{Key: key.Public(), Text: t}
		if s.Signature, err = key.Sign(mailer.NamespaceApproval, []byte(t)); err != nil {
			return mailer.Signed{}, err
		}
		if sshsig.Verify(s.Key, mailer.NamespaceApproval, []byte(t), s.Signature) == nil {
			return s, nil
		}
	}
	return mailer.Signed{}, mailer.Conflict("approve.stale", "campaign", campaigns[0])
}

// Bundle is what shows without the program who approved a campaign, and what.
type Bundle struct {
	Given   []approval.Given
	Sheets  []string // the texts that were read or signed, none twice
	Signers string   // for ssh-keygen -Y verify, of those who signed
}

// SheetOf is the place of an approval's text in Sheets; below 0: nothing was kept.
func (b *Bundle) SheetOf(g *approval.Given) int {
	for i, s := range b.Sheets {
		if s == g.Sheet {
			return i
		}
	}
	return -1
}

// Bundle has the approvals of a campaign that stand. It verifies them first.
func (a *Approvals) Bundle(ctx context.Context, by mailer.Actor, campaign string) (Bundle, error) {
	if _, err := a.may(ctx, by, mailer.ActSheet, []string{campaign}); err != nil {
		return Bundle{}, err
	}
	if err := a.Ledger.ApprovalsStand(ctx, campaign); err != nil {
		return Bundle{}, err
	}
	given, err := a.Ledger.Given(ctx, campaign)
	if err != nil {
		return Bundle{}, err
	}
	b := Bundle{Given: given}
	for i := range given {
		g := &given[i]
		if g.Sheet != "" && b.SheetOf(g) < 0 {
			b.Sheets = append(b.Sheets, g.Sheet)
		}
		if g.Signature != "" {
			b.Signers += g.Person + ` namespaces="` + mailer.NamespaceApproval + `" ` + g.Key + "\n"
		}
	}
	return b, nil
}
