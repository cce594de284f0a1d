package list

import (
	"archive/zip"
	"bufio"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"strings"

	"oshirase/mailer"
)

// Bounds of a workbook's archive. What spreadsheet programs write keeps far below them:
// a sheet of the most rows that Excel allows unpacks to about 500 MB, to tenfold.
const (
	maxParts    = 4096
	maxUnpacked = 1 << 30   // octets that are unpacked of a workbook in all
	smallPart   = 16 << 20  // octets that any part may unpack to; a larger one to maxRatio times
	maxRatio    = 200       // of what it takes in the file
	maxToken    = 512 << 10 // octets of a tag or a text: 32,767 characters, each written as an entity
)

var (
	errUnpacked = mailer.Invalid("list.unpacked")
	errToken    = mailer.Invalid("list.token")
	errDoctype  = mailer.Invalid("list.doctype")
)

// signatures counts the entries of an archive's directory as it passes by. zip.Reader
// takes the number from the directory's end, which may lie, and keeps them all.
type signatures struct {
	found int
	seen  int // octets of a signature so far
}

func (s *signatures) Write(p []byte) (int, error) {
	const entry = "PK\x01\x02"
	for _, c := range p {
		switch {
		case c == entry[s.seen]:
			if s.seen++; s.seen == len(entry) {
				s.found++
				s.seen = 0
			}
		case c == entry[0]:
			s.seen = 1
		default:
			s.seen = 0
		}
	}
	return len(p), nil
}

// archive unpacks parts of a workbook, each within its own bound and that of all.
type archive struct {
	parts map[string]*zip.File // by name in lower case
	left  int64                // octets that may still be unpacked
}

func newArchive(z *zip.Reader) (archive, error) {
	a := archive{parts: map[string]*zip.File{}, left: maxUnpacked}
	for _, f := range z.File {
		name := strings.ToLower(strings.TrimPrefix(f.Name, "/"))
		if a.parts[name] != nil {
			return a, mailer.Invalid("list.part-twice")
		}
		a.parts[name] = f
	}
	return a, nil
}

// opened is a part that is being unpacked.
type opened struct {
	io.ReadCloser
	of   *archive
	left int64 // octets
	size int64 // as the archive has it, which need not be so
}

// part opens a part, by its name in lower case.
func (a *archive) part(name string) (*opened, error) {
	f := a.parts[name]
	if f == nil {
		return nil, mailer.NotFound("list.no-part", "part", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	most := int64(smallPart)
	if packed := int64(min(f.CompressedSize64, maxUnpacked)); packed*maxRatio > most {
		most = packed * maxRatio
	}
	return &opened{ReadCloser: r, of: a, left: most, size: int64(min(f.UncompressedSize64, maxUnpacked))}, nil
}

func (p *opened) Read(b []byte) (int, error) {
	if p.left <= 0 || p.of.left <= 0 {
		return 0, errUnpacked
	}
	n, err := p.ReadCloser.Read(b[:min(int64(len(b)), p.left, p.of.left)])
	p.left -= int64(n)
	p.of.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		if _, ofDisk := errors.AsType[*fs.PathError](err); !ofDisk {
			err = errDamaged
		}
	}
	return n, err
}

// decoder reads XML of a part. A tag or text beyond maxToken is refused before it is
// in memory, and so is a document type, of which entities are made.
type decoder struct {
	*xml.Decoder
	in octets
}

// octets gives the octets of one token at most.
type octets struct {
	*bufio.Reader
	left int
	read int64
	err  error // of the part, other than its end
}

func (o *octets) ReadByte() (byte, error) {
	if o.left == 0 {
		o.err = errToken
		return 0, errToken
	}
	o.left--
	o.read++
	c, err := o.Reader.ReadByte()
	if err != nil && !errors.Is(err, io.EOF) {
		o.err = err
	}
	return c, err
}

func newDecoder(p *opened) *decoder {
	d := &decoder{in: octets{Reader: bufio.NewReaderSize(p, 32<<10)}}
	d.Decoder = xml.NewDecoder(&d.in)
	return d
}

// token is the next token, valid until the one after it. What is no XML is errDamaged;
// io.EOF is where the part ends, whole or not.
func (d *decoder) token() (xml.Token, error) {
	d.in.left = maxToken
	t, err := d.RawToken()
	switch {
	case d.in.err != nil:
		return nil, d.in.err
	case err != nil && !errors.Is(err, io.EOF): // it is no XML, or in another encoding
		return nil, errDamaged
	}
	if _, ok := t.(xml.Directive); ok {
		return nil, errDoctype
	}
	return t, err
}

// each calls fn with every element of a part that begins.
func (a *archive) each(name string, fn func(*decoder, *xml.StartElement) error) error {
	p, err := a.part(strings.ToLower(name))
	if err != nil {
		return err
	}
	d := newDecoder(p)
	for {
		t, err := d.token()
		if errors.Is(err, io.EOF) {
			return p.Close()
		}
		if e, ok := t.(xml.StartElement); ok && err == nil {
			err = fn(d, &e)
		}
		if err != nil {
			return errors.Join(err, p.Close())
		}
	}
}

// attr is the value of an attribute, whatever its name space.
func attr(e *xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
