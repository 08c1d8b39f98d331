"""The plainest thing that could do: scikit-learn's multinomial naive Bayes on counted words."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path

from bench.filters.peer import Judge, Mail, answer, line_judge

from milter.mail.folder import as_content
from milter.mail.text import read_text


class Words:
    """CountVectorizer and MultinomialNB, both as they come, on what a reader sees.

    The text is found by this project's reader: naive Bayes is compared here, not MIME. The number
    is the log-odds, because the probability of a long mail is rounded to 0 or 1.
    """

    name = "naive Bayes on words (scikit-learn)"
    counted = "a process with the fitted pipeline: file, text, words, log-odds"

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        return version("scikit-learn")

    def train(self, folder: Path, mails: Sequence[Mail]) -> None:
        import joblib
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.naive_bayes import MultinomialNB
        from sklearn.pipeline import make_pipeline

        model = make_pipeline(CountVectorizer(), MultinomialNB())
        model.fit([visible(mail.path.read_bytes()) for mail in mails], [m.fake for m in mails])
        joblib.dump(model, folder / "model.joblib")

    def judge(self, folder: Path) -> AbstractContextManager[Judge]:
        return line_judge([sys.executable, "-m", __name__, str(folder)], folder)


def visible(octets: bytes) -> str:
    """Subject and body as a reader sees them, what is quoted included."""
    text = read_text(as_content(octets))
    return f"{text.subject}\n{text.body}\n{text.quoted}"


def main(folder: Path) -> None:
    """Judge until there are no more paths."""
    import joblib

    words, bayes = joblib.load(folder / "model.joblib").named_steps.values()

    def score(octets: bytes) -> float:
        other, fake = bayes.predict_joint_log_proba(words.transform([visible(octets)]))[0]
        return float(fake - other)

    answer(score)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
