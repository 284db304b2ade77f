import datetime
from importlib import resources

from sqlalchemy import create_engine, event, func, inspect, select, text
from sqlalchemy.exc import IntegrityError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session, aliased, joinedload, selectinload, subqueryload
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateTable

from inventory.checks import check
from inventory.model import Base, Cable, Part, Shelf, State


def fill():
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        shelf = Shelf(name="left")
        shelf.parts = [
            Part(name="screw", amount=100, extra={"m": 4}, tag_names=["metal", "small"]),
            Cable(name="usb", length=1.5, made=datetime.date(2024, 2, 29), state=State.USED),
        ]
        session.add_all([shelf, Shelf(name="right")])
        session.commit()
    return engine


@check
def orm():
    with Session(fill()) as session:
        for load in (joinedload, selectinload, subqueryload):
            query = select(Shelf).options(load(Shelf.parts)).order_by(Shelf.name)
            found = session.scalars(query).unique().all()
            yield [(shelf.name, [part.name for part in shelf.parts]) for shelf in found]
            session.expunge_all()
        cable = session.scalars(select(Cable)).one()
        yield cable.length, cable.made, cable.state, cable.scarce, cable.shelf.name
        screw = session.scalars(select(Part).where(Part.name == "screw")).one()
        yield screw.extra, list(screw.tag_names), session.scalar(select(func.sum(Part.amount)))
        yield session.scalars(select(Part.name).where(Part.scarce)).all()
        other = aliased(Part)
        query = select(Part.name, other.name).join(other, Part.amount > other.amount)
        yield [tuple(row) for row in session.execute(query)]
        screw.amount = 7
        yield inspect(screw).attrs.amount.history.deleted or "not loaded", session.dirty != set()
        session.rollback()
        session.delete(screw.shelf)
        session.flush()
        yield session.scalar(select(func.count()).select_from(Part))


@check
def refusals():
    with Session(fill()) as session:
        session.add(Shelf(name="left"))
        try:
            session.flush()
        except IntegrityError as error:
            yield str(error.orig), error.code
        session.rollback()
        try:
            Part(name="")
        except ValueError as error:
            yield str(error)
        try:
            session.execute(text("select * from missing"))
        except OperationalError as error:
            yield str(error.orig), error.statement
    try:
        create_engine("nosuchdb://")
    except NoSuchModuleError as error:
        yield str(error)


@check
def core():
    engine = fill()
    yield str(CreateTable(Part.__table__).compile(engine))
    query = select(Part.name).where(Part.amount.between(1, 5), Part.name.like("u%")).limit(2)
    yield str(query), str(query.compile(engine, compile_kwargs={"literal_binds": True}))
    statements = []

    @event.listens_for(engine, "before_cursor_execute")
    def seen(connection, cursor, statement, *rest):
        statements.append(statement.split()[0])

    with engine.begin() as connection:
        # A query out of a folder with no __init__.py.
        query = (resources.files("inventory") / "queries" / "by_shelf.sql").read_text("utf-8")
        yield [dict(row) for row in connection.execute(text(query), {"least": 1}).mappings()]
    yield statements, engine.dialect.name, engine.driver, inspect(engine).get_table_names()
