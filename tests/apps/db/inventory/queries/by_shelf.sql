select shelf.name as shelf, count(part.id) as parts
from shelf left join part on part.shelf_id = shelf.id
group by shelf.id having count(part.id) >= :least order by shelf.name
