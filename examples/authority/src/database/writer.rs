//! Group commit: whatever waits while the disk syncs goes into the next transaction together.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{DatabaseError, migrations};

/// Tasks that may wait. Chosen: two groups.
const WAITING_MAX: usize = 1024;

/// Tasks in one transaction. Chosen: some 50 ms of work, so that the answer grid is kept.
const GROUP_MAX: usize = 512;

/// Told whether the transaction that its task was part of is on the disk.
type Reply = Box<dyn FnOnce(bool) + Send>;

type Task = Box<dyn FnOnce(&Connection) -> Reply + Send>;

/// The database. Clones share it; the last one closes it.
#[derive(Clone)]
pub struct Database {
    tasks: mpsc::Sender<Task>,
}

impl Database {
    /// Opens or makes the file at `path`, and the thread that alone writes it; joined, the thread has closed the file.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if another process has it, a later release wrote it, or it is no database.
    pub fn open(path: &Path) -> Result<(Self, JoinHandle<()>), DatabaseError> {
        let lock = File::create(path.with_extension("lock"))?;
        lock.try_lock().map_err(|_| DatabaseError::InUse)?;
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // What is answered is on the disk, even if the power goes.
        connection.pragma_update(None, "synchronous", "FULL")?;
        // What is deleted is overwritten.
        connection.pragma_update(None, "secure_delete", "ON")?;
        migrations::migrate(&mut connection)?;
        let (tasks, waiting) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || {
                write_groups(&connection, waiting);
                drop(lock);
            })?;
        Ok((Self { tasks }, thread))
    }

    /// Does `work` in a transaction, and returns when it is on the disk. If it fails, it alone is undone.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`]: nothing of `work` was kept.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let (reply, answer) = oneshot::channel();
        let task: Task = Box::new(move |connection| {
            let done = undone_if_it_fails(connection, work);
            Box::new(move |committed| {
                let done = if committed {
                    done
                } else {
                    Err(DatabaseError::NotCommitted)
                };
                // Whoever asked may have gone: what was done stays done.
                reply.send(done).ok();
            })
        });
        self.tasks
            .send(task)
            .await
            .map_err(|_| DatabaseError::Closed)?;
        // Dropped with its group, which could not begin.
        answer.await.map_err(|_| DatabaseError::NotCommitted)?
    }

    /// Tasks that wait now.
    pub fn waiting(&self) -> usize {
        self.tasks.max_capacity() - self.tasks.capacity()
    }
}

fn write_groups(connection: &Connection, mut waiting: mpsc::Receiver<Task>) {
    while let Some(first) = waiting.blocking_recv() {
        if connection.execute_batch("BEGIN IMMEDIATE").is_err() {
            // Refused, unrun: each statement would be a transaction of its own. Whatever was left open ends.
            connection.execute_batch("ROLLBACK").ok();
            continue;
        }
        let mut replies = vec![first(connection)];
        // An error of the disk may have ended the transaction; it then fails to commit.
        while replies.len() < GROUP_MAX
            && !connection.is_autocommit()
            && let Ok(task) = waiting.try_recv()
        {
            replies.push(task(connection));
        }
        let committed = connection.execute_batch("COMMIT").is_ok();
        if !committed {
            connection.execute_batch("ROLLBACK").ok();
        }
        for reply in replies {
            reply(committed);
        }
    }
}

fn undone_if_it_fails<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, DatabaseError>,
) -> Result<T, DatabaseError> {
    connection.prepare_cached("SAVEPOINT task")?.execute(())?;
    // The thread lives on: a message that finds a mistake of ours is refused, and the others are answered.
    let done = catch_unwind(AssertUnwindSafe(|| work(connection)));
    let done = done.unwrap_or(Err(DatabaseError::Panicked));
    if done.is_err() {
        connection.prepare_cached("ROLLBACK TO task")?.execute(())?;
    }
    connection.prepare_cached("RELEASE task")?.execute(())?;
    done
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn count(connection: &Connection) -> Result<u32, DatabaseError> {
        Ok(connection.query_row("SELECT count(*) FROM buckets", (), |row| row.get(0))?)
    }

    fn insert(connection: &Connection, name: &str) -> Result<(), DatabaseError> {
        connection.execute("INSERT INTO buckets VALUES (?1, 0, 0)", [name])?;
        Ok(())
    }

    #[tokio::test]
    async fn a_task_that_fails_leaves_the_others_of_its_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let (database, thread) = Database::open(&path).unwrap();
        let fails = database.run(|connection| {
            insert(connection, "half")?;
            Err::<(), _>(DatabaseError::NotCommitted)
        });
        let (failed, first, second) = tokio::join!(
            fails,
            database.run(|connection| insert(connection, "a")),
            database.run(|connection| insert(connection, "b")),
        );
        assert!(failed.is_err());
        first.unwrap();
        second.unwrap();
        assert_eq!(database.run(count).await.unwrap(), 2);
        drop(database);
        thread.join().unwrap();
        let (database, _) = Database::open(&path).unwrap();
        assert_eq!(database.run(count).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_task_that_panics_is_undone_alone_and_the_thread_lives_on() {
        let folder = tempfile::tempdir().unwrap();
        let (database, _) = Database::open(&folder.path().join("a.db")).unwrap();
        let panics = database.run(|connection| -> Result<(), DatabaseError> {
            insert(connection, "half")?;
            std::panic::resume_unwind(Box::new("a mistake"))
        });
        let (panicked, other) =
            tokio::join!(panics, database.run(|connection| insert(connection, "a")));
        assert!(matches!(panicked, Err(DatabaseError::Panicked)));
        other.unwrap();
        assert_eq!(database.run(count).await.unwrap(), 1);
    }

    #[test]
    fn a_group_that_cannot_begin_is_refused_unrun() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE buckets (name, tokens, filled_at); BEGIN")
            .unwrap();
        let (tasks, waiting) = mpsc::channel(2);
        let (told, answers) = std::sync::mpsc::channel();
        for name in ["refused", "taken"] {
            let told = told.clone();
            let task: Task = Box::new(move |connection| {
                insert(connection, name).unwrap();
                Box::new(move |committed| told.send((name, committed)).unwrap())
            });
            tasks.blocking_send(task).ok().unwrap();
        }
        drop((tasks, told));
        write_groups(&connection, waiting);
        let answers: Vec<_> = answers.iter().collect();
        assert_eq!(answers, [("taken", true)]);
        assert_eq!(count(&connection).unwrap(), 1);
    }

    #[tokio::test]
    async fn a_database_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let (_first, _) = Database::open(&path).unwrap();
        assert!(matches!(Database::open(&path), Err(DatabaseError::InUse)));
    }

    #[tokio::test]
    async fn a_later_releases_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(
            Database::open(&path),
            Err(DatabaseError::Version { got: 99, .. })
        ));
    }
}
