package templates

type variantCheck struct{}
