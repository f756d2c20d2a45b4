// Export of scores: texts in the page as downloads or to the clipboard.

function setUpExports() {
  const texts = JSON.parse(document.getElementById("tables").textContent);
  const status = document.getElementById("exported");
  for (const button of document.querySelectorAll("[data-download]")) {
    const name = button.dataset.download;
    button.addEventListener("click", () => download(name, texts[name]));
  }
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      status.textContent = await copy(texts[button.dataset.copy])
        ? "Copied." : "This browser does not allow copying; download it.";
    });
  }
}

function download(name, text) {
  const kind = name.endsWith(".csv") ? "text/csv" : "text/x-tex";
  const url = URL.createObjectURL(new Blob([text], { type: `${kind};charset=utf-8` }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

// Some browsers have no clipboard for pages from disk; selecting and copying works in all.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", { readonly: true, class: "unseen" });
    area.value = text;
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return copied;
  }
}
