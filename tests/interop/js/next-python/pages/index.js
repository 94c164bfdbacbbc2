export default function Page() {
  return <p>The functions are written in Python.</p>;
}
