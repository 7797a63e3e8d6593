/* What the page says: passing words, and faults that stay until they are mended. */

const SHOWN_MS = 3500;

/**
 * @param {object} elements toast; fault, with a text and a retry button inside.
 * @param {() => void} retry is called when the user wants it tried again.
 */
export function createMessages({ toast, fault }, retry) {
  let timer;
  fault.querySelector("button").addEventListener("click", () => {
    fault.hidden = true;
    retry();
  });
  return {
    /** Says something for a moment. */
    say(text) {
      clearTimeout(timer);
      toast.textContent = text;
      toast.classList.add("shown");
      timer = setTimeout(() => toast.classList.remove("shown"), SHOWN_MS);
    },
    /** Says to screen readers what eyes see anyway. */
    note(text) {
      toast.classList.remove("shown");
      toast.textContent = text;
    },
    /** Shows a fault until it is tried again. */
    failed(error) {
      fault.querySelector("span").textContent = error.message;
      fault.hidden = false;
    },
  };
}
