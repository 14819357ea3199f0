// Sets the formulas that stand in the page's "math" fences; KaTeX is loaded before this.
for (const formula of document.querySelectorAll(".arithmatex")) {
  const source = formula.textContent.trim().replace(/^\\\[|\\\]$/g, "");
  katex.render(source, formula, {displayMode: true, throwOnError: false});
}
