// Before the first paint: the theme that was chosen, if any, and never a flash of the other one.
try {
  const chosen = localStorage.getItem("stepwell.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {}
