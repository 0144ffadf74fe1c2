
"use strict";
// Without this script the page shows every image, one below the other. With it, the one chosen.
(() => {
  const form = document.getElementById("choose");
  if (!form) return;
  const images = Array.from(document.querySelectorAll("article[data-gpus]"), (article) => ({
    article,
    gpus: JSON.parse(article.dataset.gpus),
    rocm: article.dataset.rocm,
    server: article.dataset.server,
    version: article.dataset.version,
    channel: article.dataset.channel,
  }));
  const radios = (name) => Array.from(form.querySelectorAll(`input[name="${name}"]`));
  const chosen = (name) => radios(name).find((radio) => radio.checked)?.value;
  const choose = (name, value) => {
    for (const radio of radios(name)) radio.checked = radio.value === value;
  };

  const choices = ["rocm", "server", "version", "channel"];

  // Leaves only what `found` has, and moves a choice that is gone to the first: the preferred.
  const offer = (name, found) => {
    for (const radio of radios(name)) {
      radio.disabled = !found.some((image) => image[name] === radio.value);
    }
    if (!found.some((image) => image[name] === chosen(name))) choose(name, found[0][name]);
    return found.filter((image) => image[name] === (chosen(name) ?? image[name]));
  };

  // A version that only another server has is none that could be chosen here.
  const hideVersionsOfOthers = () => {
    const own = images.filter((image) => image.server === (chosen("server") ?? image.server));
    for (const radio of radios("version")) {
      radio.closest("label").hidden = !own.some((image) => image.version === radio.value);
    }
  };

  const show = () => {
    const gpu = chosen("gpu");
    let found = images.filter((image) => image.gpus.includes(gpu));
    for (const name of choices) {
      found = offer(name, found);
      if (name === "server") hideVersionsOfOthers();
    }
    for (const image of images) image.article.hidden = !found.includes(image);
    return found;
  };

  const say = (found) => {
    const names = found.map((image) => `${image.gpus.join(", ")} on ROCm ${image.rocm}`);
    document.getElementById("said").textContent = `Shown: ${names.join("; ")}`;
  };

  // An address that ends in an image's tag leads to that image.
  const follow = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const image = images.find((candidate) => candidate.article.id === id);
    if (!image) return false;
    if (!image.gpus.includes(chosen("gpu"))) choose("gpu", image.gpus[0]);
    for (const name of choices) choose(name, image[name]);
    say(show());
    image.article.scrollIntoView();
    image.article.focus({ preventScroll: true });
    return true;
  };

  form.addEventListener("change", () => {
    const found = show();
    say(found);
    history.replaceState(null, "", `#${found[0].article.id}`);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", follow);

  const copy = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    // Without TLS a browser has no clipboard for pages but this.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done ? undefined : Promise.reject(new Error("not copied"));
  };
  for (const button of document.querySelectorAll("button.copy")) {
    const command = button.parentElement;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const said = command.querySelector(".copied");
      said.textContent = "";
      try {
        await copy(command.querySelector("code").textContent);
        button.focus();
        said.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(command.querySelector("code"));
        said.textContent = "Selected: press Ctrl+C";
      }
    });
  }

  // Whoever chooses reads one image first; whoever cannot needs the table.
  document.getElementById("images").after(document.getElementById("table"));
  form.hidden = false;
  choose("gpu", images[0].gpus[0]);
  if (!follow()) show();
})();
