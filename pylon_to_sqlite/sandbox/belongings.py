"""The records of a workspace that belong to another one: articles, answers, comments and others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .directory import Directory, locked
from .further_defaults import PARENTS
from .records import Fields, Record
from .times import written


class Belongings(Directory):
    """Adds such records, each with the key of what it belongs to as the first argument.

    `change`, `remove` and `restore` take them by their own keys, like all others.
    """

    def __init__(self, clock: Callable[[], float] = time.time, *, seed: int = 0) -> None:
        super().__init__(clock, seed=seed)
        self.custom_object_types: set[str] = set()

    @locked
    def add_article(self, knowledge_base: str, *, at: float | None = None, **fields: Any) -> str:
        """Add an article to a knowledge base. Answers its id."""
        article = self._belong("articles", knowledge_base, at, fields)
        if article.fields["is_published"]:
            article.fields.setdefault("last_published_at", written(article.created))
        return article.key

    @locked
    def change_article(self, article: str, *, at: float | None = None, **fields: Any) -> None:
        """Change fields of an article; its last_edited_at moves."""
        record = self._record("articles", article)
        self._change(record, at, fields)
        if fields.get("is_published") or "current_published_content_html" in fields:
            record.fields["last_published_at"] = written(record.updated)

    def remove_article(self, article: str) -> None:
        """Remove an article without a trace."""
        self.remove("articles", article)

    def articles(self, knowledge_base: str) -> list[Fields]:
        """The articles of a knowledge base as the API gives them now, newest first."""
        return self.belonging("articles", knowledge_base)

    def add_collection(self, knowledge_base: str, *, at: float | None = None, **fields: Any) -> str:
        """Add a collection to a knowledge base, below `parent_collection_id` if that is given."""
        return self._belong("collections", knowledge_base, at, fields).key

    def add_survey_response(self, survey: str, *, at: float | None = None, **fields: Any) -> str:
        """Answer a survey: `contact_id`, `account_id` and `answers`. Answers the response's id."""
        return self._belong("survey_responses", survey, at, fields).key

    def add_task_comment(
        self, task: str, *, at: float | None = None, touch: bool = True, **fields: Any
    ) -> str:
        """Comment on a task, whose updated_at moves by default; `author` is a user or contact."""
        return self._belong("task_comments", task, at, fields, touch=touch).key

    @locked
    def change_task_comment(self, comment: str, *, at: float | None = None, **fields: Any) -> None:
        """Edit a comment; its last_edited_at moves with its updated_at, and nothing of its task."""
        record = self._record("task_comments", comment)
        self._change(record, at, fields)
        record.fields["last_edited_at"] = written(record.updated)

    @locked
    def add_follower(
        self, issue: str, person: str, *, at: float | None = None, touch: bool = True
    ) -> str:
        """Let a user or contact follow an issue, whose updated_at moves by default. Answers the
        key that `remove` takes: the id in the payload is the person's."""
        key = f"{issue}:{person}"
        if self.find("issue_followers", key) is None:
            about = {"id": key, "type": self.book.people[person].kind}
            follower = self._belong("issue_followers", issue, at, about, touch=touch)
            follower.fields["id"] = person
        return key

    def add_voice_call(
        self, issue: str, *, at: float | None = None, touch: bool = True, **fields: Any
    ) -> str:
        """Add a call to an issue, whose updated_at moves by default; `recordings` may come later
        by `change`."""
        return self._belong("issue_voice_calls", issue, at, fields, touch=touch).key

    def add_relationship(
        self, account: str, parent_account: str, *, at: float | None = None, **fields: Any
    ) -> str:
        """Put an account below its parent, or beside a partner: `relationship_type`."""
        ends = {"child_account_id": account, "parent_account_id": parent_account}
        return self._belong("account_relationships", account, at, {**ends, **fields}).key

    @locked
    def define_custom_object(self, type: str) -> None:
        """Let the workspace have custom objects of a type, which the API lists nowhere."""
        self.custom_object_types.add(type)

    @locked
    def add_custom_object(self, type: str, *, at: float | None = None, **fields: Any) -> str:
        """Add a custom object of a type, which is thereby defined. Answers its id."""
        self.define_custom_object(type)
        return self._belong("custom_objects", type, at, {"type": type, **fields}).key

    def resolved(self, stream: str, key: str) -> str | None:
        """The key of the record that a path may mean by `key`, or None when there is none."""
        if stream == "custom_object_types":
            return key if key in self.custom_object_types else None
        return super().resolved(stream, key)

    @locked
    def _belong(
        self, stream: str, parent: str, at: float | None, given: Fields, *, touch: bool = False
    ) -> Record:
        key = self.resolved(PARENTS[stream], parent)
        if key is None:
            raise KeyError(parent)
        record = self._add(stream, at, given, key)
        if touch:
            self._touch_parent(PARENTS[stream], key, record.created)
        return record

    def _touch_parent(self, stream: str, key: str, ms: int) -> None:
        self._record(stream, key).touch(ms)

    def _hand_over(self, stream: str, parent: str, other: str) -> None:
        """Let the records that belong to one belong to another."""
        for record in self.children(stream, parent):
            del self._families[stream, parent][record.key]
            record.parent = other
            self._file(record)
