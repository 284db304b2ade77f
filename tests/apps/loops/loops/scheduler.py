"""Tasks that send each other packets through queues: objects, branches, exceptions."""

import collections
import heapq
import itertools


class Idle(Exception):
    pass


class Task:
    numbers = itertools.count()

    def __init__(self, priority, size):
        self.priority, self.size = priority, size
        self.number = next(Task.numbers)
        self.inbox = collections.deque(maxlen=size)
        self.done = 0

    def __lt__(self, other):
        return (self.priority, self.number) < (other.priority, other.number)

    def step(self, others):
        try:
            packet = self.take()
        except Idle:
            return False
        self.done += packet & 7
        other = others[(packet + self.priority) % len(others)]
        other.inbox.append(packet * 5 % 1021)
        return True

    def take(self):
        if not self.inbox:
            raise Idle
        return self.inbox.popleft()


def run(steps=12_000):
    Task.numbers = itertools.count()
    tasks = [Task(priority, 8) for priority in range(6)]
    for number in range(20):
        tasks[number % 6].inbox.append(number)
    ready = [(0, task) for task in tasks]
    heapq.heapify(ready)
    for _ in range(steps):
        moment, task = heapq.heappop(ready)
        busy = task.step(tasks)
        heapq.heappush(ready, (moment + (1 if busy else 3), task))
    return sum(task.done for task in tasks)
