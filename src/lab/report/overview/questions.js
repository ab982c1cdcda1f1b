// Buttons sort the rows and grey out those that a question rules out.
(() => {
  const body = document.querySelector(".matrix tbody"), rows = [...body.rows];
  const buttons = [...document.querySelectorAll(".questions button")];
  const isPressed = button => button.getAttribute("aria-pressed") === "true";
  const apply = () => {
    const asked = buttons.filter(isPressed).map(button => button.dataset.question);
    const rank = row => asked.reduce((sum, key) => sum + Number(row.dataset[key]), 0);
    for (const row of rows) {
      const against = asked.map(key => row.dataset[key + "Not"]).filter(Boolean);
      row.classList.toggle("out", against.length > 0);
      row.querySelector(".against").textContent = against.join("; ");
    }
    const out = row => row.classList.contains("out");
    body.append(...[...rows].sort((a, b) => out(a) - out(b) || rank(a) - rank(b)));
    const left = rows.filter(row => !out(row)).length;
    document.querySelector("#sorted").textContent = asked.length === 0 ? "" :
      left + " of " + rows.length + " strategies remain, the best first; the others are grey, each with the reason.";
  };
  for (const button of buttons) {
    button.disabled = false;
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", !isPressed(button));
      apply();
    });
  }
})();
