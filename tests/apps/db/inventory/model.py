import datetime
import enum

from sqlalchemy import JSON, CheckConstraint, Column, ForeignKey, String, Table
from sqlalchemy.ext.associationproxy import association_proxy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, validates


class Base(DeclarativeBase):
    pass


class State(enum.Enum):
    NEW = "new"
    USED = "used"


tagged = Table(
    "tagged",
    Base.metadata,
    Column("part", ForeignKey("part.id"), primary_key=True),
    Column("tag", ForeignKey("tag.name"), primary_key=True),
)


class Shelf(Base):
    __tablename__ = "shelf"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), unique=True)
    parts: Mapped[list["Part"]] = relationship(
        back_populates="shelf", cascade="all, delete-orphan", order_by="Part.name"
    )


class Part(Base):
    __tablename__ = "part"
    __table_args__ = (CheckConstraint("amount >= 0", name="amount_not_negative"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    amount: Mapped[int] = mapped_column(default=1)
    state: Mapped[State] = mapped_column(default=State.NEW)
    made: Mapped[datetime.date | None]
    extra: Mapped[dict | None] = mapped_column(JSON)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelf.id"))
    shelf: Mapped[Shelf] = relationship(back_populates="parts")
    tags: Mapped[list["Tag"]] = relationship(secondary=tagged, order_by="Tag.name")
    tag_names = association_proxy("tags", "name", creator=lambda name: Tag(name=name))

    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "part"}

    @hybrid_property
    def scarce(self):
        return self.amount < 3

    @validates("name")
    def check_name(self, key, value):
        if not value:
            raise ValueError(f"{key} is empty")
        return value


class Cable(Part):
    length: Mapped[float | None]

    __mapper_args__ = {"polymorphic_identity": "cable"}


class Tag(Base):
    __tablename__ = "tag"

    name: Mapped[str] = mapped_column(primary_key=True)
